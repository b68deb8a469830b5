"""What a client has while it is open: a connection, a cache, perhaps a registration, and the tasks that keep them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from hub.client.address import local_address
from hub.client.cache import Cache
from hub.client.link import Link
from hub.client.registration import Registration
from hub.client.tasks import Tasks
from hub.core.identity import derived_instance_id
from hub.errors import DeadlineExceeded, HubError, Unavailable
from hub.transport.connection import without_password
from hub.wire import subjects
from hub.wire.registration import Register, Registered


class Session:
    """One stay of a client on NATS.

    Args:
        urls: The NATS servers.
        name: The service's name.
        offer: What to register, complete; None registers nothing.
    """

    def __init__(self, urls: Sequence[str], name: str, offer: Register | None) -> None:
        self._urls = urls
        self._tasks = Tasks()
        own = name if offer is None else subjects.instance_key(name, offer.instance_id or "")
        self.link = Link(urls, own, self._tasks, self._on_missed)
        self.cache = Cache(self.link, self._tasks)
        self.registration = None if offer is None else Registration(self.link, offer, self._tasks, self.cache.used)

    async def open(self, *, within: float) -> None:
        """Connect.

        Raises:
            Unavailable: no NATS server took the connection within so many seconds.
        """
        await self.link.open(within=within)
        self.cache.start()

    async def register(self, *, within: float) -> Registered:
        """Register, and stay registered.

        Raises:
            HubError: the hub refused; `Unavailable` when none answered within so many seconds.
        """
        if self.registration is None:
            raise Unavailable("this session registers nothing")
        try:
            return await self.registration.start(within=within)
        except (Unavailable, DeadlineExceeded) as error:
            where = ", ".join(without_password(url) for url in self._urls)
            absent = Unavailable(f"no hub answered at {where} within {within:.0f} s ({error.message})")
            absent.request_id = error.request_id
            raise absent from None

    def warm(self, services: Sequence[str], timeout: float) -> None:
        """Look services up in the background, so that they are at hand when they are asked for."""
        for name in services:
            self._tasks.spawn(self._warm(name, timeout), f"warm-{name}")

    async def aclose(self) -> None:
        """Deregister, as far as a hub answers within a second, and close. Always ends within a few seconds."""
        try:
            await self.cache.aclose()
            if self.registration is not None:
                await self.registration.withdraw("closed")
            await self._tasks.aclose()
        finally:
            await self.link.aclose()

    async def _warm(self, name: str, timeout: float) -> None:
        with contextlib.suppress(HubError):  # whoever asks for it will be told
            await self.cache.warm(name, timeout)

    def _on_missed(self) -> None:
        self.cache.resync()
        if self.registration is not None:
            self.registration.beat_soon()


async def completed(offer: Register, host: str | None, urls: Sequence[str]) -> Register:
    """The registration with its address, found by a look at the network where it is not given, and with its id."""
    host = host or await local_address(urls) or "127.0.0.1"
    instance_id = offer.instance_id or derived_instance_id(offer.name, host, offer.port)
    return msgspec.structs.replace(offer, host=host, instance_id=instance_id)


async def finish(ending: asyncio.Task[None]) -> None:
    """Wait for the end of a closing, also when cancelled meanwhile: it bounds itself, and must leave nothing behind."""
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await asyncio.wait([ending])
        raise
