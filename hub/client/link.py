"""The connection of one client to NATS, and the requests to the hub that go over it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
import nats.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hub.client.retry import persist
from hub.errors import HubError, Unavailable
from hub.transport.connection import Notices, connect, describe
from hub.transport.requests import Requester
from hub.wire import fault
from hub.wire.codec import encode

log = logging.getLogger("hub.client")

T = TypeVar("T")

_CLOSE_TIMEOUT = 1.0


class Link:
    """A connection that comes back by itself.

    Args:
        urls: The NATS servers.
        name: How the connection calls itself; the hub knows an instance's own connection by it.
        on_reconnected: Called each time after the connection was lost and is back.
    """

    def __init__(self, urls: Sequence[str], name: str, on_reconnected: Callable[[], None]) -> None:
        self._urls = urls
        self._name = name
        self._on_reconnected = on_reconnected
        self._client: Client | None = None
        self._requester: Requester | None = None
        self._closing = False

    @property
    def connected(self) -> bool:
        """Whether NATS is there right now."""
        return self._client is not None and self._client.is_connected

    async def open(self, *, within: float) -> None:
        """Connect.

        Raises:
            Unavailable: no server took the connection within so many seconds.
        """
        notices = Notices(
            disconnected=self._told_disconnected,
            reconnected=self._told_reconnected,
            closed=self._told_closed,
            error=self._told_error,
        )
        self._client = await connect(self._urls, name=self._name, notices=notices, timeout=within)
        self._requester = await Requester(self._client).__aenter__()

    async def aclose(self) -> None:
        """Send what is pending, as far as that takes no more than a second, and close."""
        self._closing = True
        if self._requester is not None:
            await self._requester.aclose()
        client = self._client
        if client is None or client.is_closed:
            return
        with contextlib.suppress(TimeoutError, OSError, nats.errors.Error):  # it is given up either way
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                if client.is_connected:
                    await client.flush()
        with contextlib.suppress(TimeoutError, OSError, nats.errors.Error):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await client.close()
        await asyncio.sleep(0)  # the library's cancelled tasks end in the next turn of the loop

    async def ask(self, subject: str, message: Struct, reply: type[T], *, within: float) -> T:
        """Ask the hub, again and again until it answers.

        Raises:
            HubError: what the hub said; `Unavailable` or `DeadlineExceeded` when it did not answer.
        """

        async def attempt(timeout: float) -> T:
            return await self.ask_once(subject, message, reply, timeout=timeout)

        return await persist(attempt, within=within)

    async def ask_once(self, subject: str, message: Struct, reply: type[T], *, timeout: float) -> T:
        """Ask the hub. Raises as `ask` does."""
        answer = await self.requester.request(subject, encode(message), timeout=timeout)
        fault.raise_for(answer.data, answer.headers)
        try:
            return msgspec.json.decode(answer.data, type=reply)
        except msgspec.MsgspecError as error:
            raise HubError(f"{subject}: the hub's answer was not understood ({error})") from None

    @property
    def requester(self) -> Requester:
        """For requests to others than the hub."""
        if self._requester is None:
            raise Unavailable("not connected to NATS yet")
        return self._requester

    def inbox(self) -> str:
        """A subject for replies to this connection alone."""
        return self._open_client.new_inbox()

    async def subscribe(self, subject: str, on_message: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Hear a subject; the subscription survives every reconnect.

        Raises:
            Unavailable: the connection was closed.
        """
        try:
            return await self._open_client.subscribe(subject, cb=on_message)
        except nats.errors.Error as error:
            raise Unavailable(f"{subject}: not subscribed ({describe(error)})") from None

    async def publish(self, subject: str, payload: bytes, *, reply: str = "") -> None:
        """Send.

        Raises:
            Unavailable: the connection was closed, or is away and its buffer full.
        """
        try:
            await self._open_client.publish(subject, payload, reply=reply)
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"{subject}: not sent ({describe(error)})") from None

    @property
    def _open_client(self) -> Client:
        if self._client is None:
            raise Unavailable("not connected to NATS yet")
        return self._client

    async def _told_disconnected(self) -> None:
        if not self._closing:
            log.warning("connection to NATS lost; reconnecting")

    async def _told_reconnected(self) -> None:
        log.info("connection to NATS is back")
        self._on_reconnected()

    async def _told_closed(self) -> None:
        if not self._closing:
            log.error("NATS closed the connection for good")

    async def _told_error(self, error: Exception) -> None:
        log.debug("NATS: %s", describe(error))


async def unsubscribe(subscription: Subscription | None) -> None:
    """End a subscription; one that ended with its connection needs nothing."""
    if subscription is not None:
        with contextlib.suppress(nats.errors.Error, OSError):
            await subscription.unsubscribe()
