"""What a client has while it is open: a connection, a cache, perhaps a registration, and the tasks that keep them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import msgspec

from hub.client.address import local_address
from hub.client.attachment import Attachment
from hub.client.cache import Cache
from hub.client.components import ClientComponents
from hub.client.config import ClientConfig
from hub.client.link import Link
from hub.client.registration import Registration
from hub.client.retry import ATTEMPT_TIMEOUT
from hub.client.tasks import Tasks, end
from hub.core.backoff import backoff
from hub.core.canary import traits
from hub.core.identity import derived_instance_id
from hub.errors import DeadlineExceeded, Forbidden, HubError, Unauthenticated, Unavailable
from hub.transport.connection import Credentials, without_password
from hub.transport.tls import Tls
from hub.wire.registration import Register, Registered

log = logging.getLogger("hub.client")


class Session:
    """One stay of a client on NATS.

    Args:
        urls: The NATS servers.
        name: The service's name.
        offer: What to register, complete; None registers nothing.
        config: The service's configuration, to be kept up to date meanwhile.
        components: The copy of the files that services share, likewise.
        tls: Whom to trust, and as whom to come.
        credentials: How to log in.
    """

    def __init__(
        self,
        urls: Sequence[str],
        name: str,
        offer: Register | None,
        config: ClientConfig,
        components: ClientComponents,
        *,
        tls: Tls | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._urls = urls
        self._tasks = Tasks()
        self._instance = None if offer is None else traits(offer)
        self._key = None if self._instance is None else self._instance.key
        self._config = config
        self._components = components
        self._registering: asyncio.Task[None] | None = None
        self._back = asyncio.Event()
        self.link = Link(urls, self._key or name, self._tasks, self._on_missed, tls=tls, credentials=credentials)
        self.cache = Cache(self.link, self._tasks)
        self.registration = (
            None
            if offer is None
            else Registration(self.link, offer, self._tasks, self.cache.used, configured=config.said)
        )

    async def open(self, *, within: float, or_later: bool = False) -> None:
        """Connect; with `or_later`, in the background where it takes longer, however long that is.

        Raises:
            Unauthenticated: NATS let us in nowhere within so many seconds.
            Unavailable: no NATS server took the connection within so many seconds.
        """
        try:
            await self.link.open(within=within)
        except (Unavailable, Unauthenticated) as error:
            if not or_later:
                raise
            log.warning("started without NATS, connecting in the background (%s)", error.message)
            self.link.open_later()
        self.cache.start()
        attachment = Attachment(self.link, self._tasks, self._instance, self._beat_at_once, self._say)
        self._config.attach(attachment)
        self._components.attach(attachment)

    async def register(self, *, within: float) -> Registered:
        """Register, and stay registered.

        Raises:
            HubError: the hub refused; `Unavailable` when none answered within so many seconds.
        """
        if self.registration is None:
            raise Unavailable("this session registers nothing")
        await self._stop_registering()
        try:
            return await self.registration.start(within=within)
        except (Unavailable, DeadlineExceeded) as error:
            where = ", ".join(without_password(url) for url in self._urls)
            absent = Unavailable(f"no hub answered at {where} within {within:.0f} s ({error.message})")
            absent.request_id = error.request_id
            raise absent from None

    async def register_or_later(self, *, within: float) -> None:
        """Register; in the background where it takes longer, however long that is.

        Raises:
            HubError: the hub refused.
        """
        try:
            if not self.link.connected:
                raise Unavailable("NATS is away")
            await self.register(within=within)
        except (Unavailable, DeadlineExceeded) as error:
            log.warning("started unregistered, registering in the background (%s)", error.message)
            if self.registration is not None:
                self._registering = self._tasks.spawn(self._register_later(self.registration), "register-later")

    async def deregister(self, reason: str | None) -> None:
        """Beat no more, and deregister as far as a hub answers within a second."""
        await self._stop_registering()
        if self.registration is not None:
            await self.registration.withdraw(reason)

    def warm(self, services: Sequence[str], timeout: float) -> None:
        """Look services up in the background, so that they are at hand when they are asked for."""
        for name in services:
            self._tasks.spawn(self._warm(name, timeout), f"warm-{name}")

    async def aclose(self) -> None:
        """Deregister, as far as a hub answers within a second, and close. Always ends within a few seconds."""
        try:
            await self._config.detach()
            await self._components.detach()
            await self.cache.aclose()
            await self.deregister("closed")
            await self._tasks.aclose()
        finally:
            await self.link.aclose()

    async def _warm(self, name: str, timeout: float) -> None:
        with contextlib.suppress(HubError):  # whoever asks for it will be told
            await self.cache.warm(name, timeout)

    async def _register_later(self, registration: Registration) -> None:
        failures, told = 0, ""
        while True:
            self._back.clear()
            try:
                await registration.start(within=ATTEMPT_TIMEOUT)
            except HubError as error:
                rights = isinstance(error, Forbidden | Unauthenticated)  # which may be given meanwhile
                if not error.retryable and error.message != told:
                    log.error("%s: not registered (%s: %s)", self._key, error.code, error.message)
                    told = error.message
                if not error.retryable and not rights:
                    return
                failures += 1
                await asyncio.sleep(error.retry_after or 0.0)  # sooner it would be refused again
            else:
                log.info("%s: registered", self._key)
                registration.beat_at_once()
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff(failures)):
                    await self._back.wait()

    async def _stop_registering(self) -> None:
        if self._registering is not None:
            await end(self._registering)
            self._registering = None

    def _beat_at_once(self) -> None:
        if self.registration is not None:
            self.registration.beat_at_once()

    async def _say(self) -> None:
        if self.registration is not None:
            await self.registration.say()

    def _on_missed(self) -> None:
        self._back.set()
        self.cache.resync()
        self._config.missed()
        self._components.missed()
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
