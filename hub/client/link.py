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
from hub.client.tasks import Tasks
from hub.client.tracing import request_headers
from hub.core.backoff import backoff
from hub.errors import Forbidden, HubError, Unauthenticated, Unavailable
from hub.transport.connection import Credentials, Notices, close, connect, describe
from hub.transport.direct import subscribe_direct
from hub.transport.login import NoCredential, NotLetIn
from hub.transport.requests import Requester, not_permitted
from hub.transport.sturdy import NOT_PERMITTED
from hub.transport.tls import Tls, explain
from hub.wire import fault
from hub.wire.codec import encode
from hub.wire.correlation import REQUEST_ID_HEADER

log = logging.getLogger("hub.client")

T = TypeVar("T")

_CLOSE_TIMEOUT = 2.0
_REOPEN_TIMEOUT = 5.0
FORBIDDEN_FOR = 300.0
"""Seconds for which a server is not asked again for what it did not permit: rights may be given meanwhile."""
_MOST_FORBIDDEN = 256


class Hearing:
    """A subject that is heard, on whichever connection there is."""

    def __init__(self, subject: str, on_message: Callable[[Msg], Awaitable[None]], *, direct: bool = False) -> None:
        self.subject = subject
        self.on_message = on_message
        self.direct = direct
        self.subscription: Subscription | None = None

    @property
    def pending(self) -> int:
        """Messages received and not yet handled."""
        return self.subscription.pending_msgs if self.subscription is not None else 0


class Link:
    """A connection that comes back by itself, whatever ends it.

    NATS reconnects after a loss, also where the server ends the connection with an error (too many connections, a login
    that has expired), and goes on trying while it is turned away. Should the library close all the same, a new
    connection takes its place.

    Args:
        urls: The NATS servers.
        name: How the connection calls itself; the hub knows an instance's own connection by it.
        tasks: Owns the background task.
        on_missed: Called when messages may have been missed: after each return of the connection, and when they came
            faster than they were handled.
        tls: Whom to trust, and as whom to come.
        credentials: How to log in.
    """

    def __init__(
        self,
        urls: Sequence[str],
        name: str,
        tasks: Tasks,
        on_missed: Callable[[], None],
        *,
        tls: Tls | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._urls = urls
        self._tls = tls
        self._credentials = credentials or Credentials()
        self._name = name
        self._tasks = tasks
        self._on_missed = on_missed
        self._client: Client | None = None
        self._requester: Requester | None = None
        self._hearings: dict[Hearing, None] = {}
        self._forbidden: dict[str, float] = {}
        self._told: set[str] = set()
        self._opening_again = False
        self._closing = False

    @property
    def connected(self) -> bool:
        """Whether NATS is there right now."""
        return self._client is not None and self._client.is_connected

    async def open(self, *, within: float) -> None:
        """Connect.

        Raises:
            Untrusted: a server is not who it should be, or does not take us for who we are.
            Unauthenticated: servers answered, and none let us in.
            Unavailable: no server took the connection within so many seconds.
        """
        notices = Notices(
            disconnected=self._told_disconnected,
            reconnected=self._told_reconnected,
            closed=self._told_closed,
            error=self._told_error,
        )
        client = await connect(
            self._urls,
            name=self._name,
            notices=notices,
            credentials=self._credentials,
            tls=self._tls,
            timeout=within,
        )
        if self._requester is not None:
            await self._requester.aclose()
        self._client, self._requester = client, await Requester(client, refusal=Forbidden).__aenter__()
        for hearing in list(self._hearings):
            await self._hear(hearing)

    def open_later(self) -> None:
        """Connect in the background, however long that takes; `on_missed` is called when it is done."""
        self._opening_again = True
        self._tasks.spawn(self._open_again(), "open-later")

    async def aclose(self) -> None:
        """Send what is pending, as far as that takes no more than a second, and close."""
        self._closing = True
        if self._requester is not None:
            await self._requester.aclose()
        if self._client is None or self._client.is_closed:
            return
        await close(self._client, timeout=_CLOSE_TIMEOUT)
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
        """Ask the hub. Raises as `ask` does; the error carries the id of the request."""
        headers = request_headers()
        try:
            answer = await self.requester.request(subject, encode(message), headers=headers, timeout=timeout)
            fault.raise_for(answer.data, answer.headers)
            return _decoded(subject, answer.data, reply)
        except HubError as error:
            error.request_id = error.request_id or headers[REQUEST_ID_HEADER]
            raise

    @property
    def requester(self) -> Requester:
        """For requests to others than the hub."""
        if self._requester is None:
            raise Unavailable("not connected to NATS yet")
        return self._requester

    async def request(self, subject: str, payload: bytes = b"", *, timeout: float) -> Msg:
        """Ask others than the hub. Of what the server does not permit it is not asked again for a while.

        Raises:
            Forbidden: it is not permitted.
            Unavailable: nobody listens, or the connection is gone.
            DeadlineExceeded: no answer within so many seconds.
        """
        if self.forbids(subject):
            raise not_permitted(subject)
        return await self.requester.request(subject, payload, timeout=timeout)

    def forbids(self, subject: str) -> bool:
        """Whether the server has said of late that we may not publish there."""
        return self._forbidden.get(subject.lower(), 0.0) > asyncio.get_running_loop().time()

    def inbox(self) -> str:
        """A subject for replies to this connection alone."""
        return self._open_client.new_inbox()

    async def subscribe(
        self, subject: str, on_message: Callable[[Msg], Awaitable[None]], *, direct: bool = False
    ) -> Hearing:
        """Hear a subject, over every loss of the connection.

        Args:
            subject: What to hear.
            on_message: Given each message.
            direct: Whether it is called as messages are read, without a queue between; then it must not wait.

        Raises:
            Unavailable: the connection was closed.
        """
        hearing = Hearing(subject, on_message, direct=direct)
        await self._hear(hearing)
        self._hearings[hearing] = None
        return hearing

    async def unsubscribe(self, hearing: Hearing) -> None:
        """Hear it no more."""
        self._hearings.pop(hearing, None)
        if hearing.subscription is not None:
            with contextlib.suppress(nats.errors.Error, OSError):  # it ended with its connection
                await hearing.subscription.unsubscribe()

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

    async def _hear(self, hearing: Hearing) -> None:
        try:
            if hearing.direct:
                hearing.subscription = await subscribe_direct(self._open_client, hearing.subject, hearing.on_message)
            else:
                hearing.subscription = await self._open_client.subscribe(hearing.subject, cb=hearing.on_message)
        except nats.errors.Error as error:
            raise Unavailable(f"{hearing.subject}: not subscribed ({describe(error)})") from None

    async def _open_again(self) -> None:
        try:
            await self._open_until_it_lasts()
        finally:
            self._opening_again = False
        self._on_missed()

    async def _open_until_it_lasts(self) -> None:
        failures = 0
        while True:
            failures += 1
            await asyncio.sleep(backoff(failures))
            try:
                await self.open(within=_REOPEN_TIMEOUT)
            except (Unavailable, Unauthenticated) as error:
                log.warning("not connected again yet (%s)", error.message)
            else:
                if self.connected:
                    log.info("connected to NATS again")
                    return

    async def _told_disconnected(self) -> None:
        if not self._closing:
            log.warning("connection to NATS lost; reconnecting")

    async def _told_reconnected(self) -> None:
        self._forbidden.clear()  # another server, or another login, may permit it
        self._told.clear()
        log.info("connection to NATS is back")
        self._on_missed()

    async def _told_closed(self) -> None:
        opened_before = self._requester is not None
        if opened_before and not self._closing and not self._opening_again:
            self._opening_again = True
            log.error("NATS closed the connection (%s); opening another", self._last_error())
            self._tasks.spawn(self._open_again(), "open-again")

    async def _told_error(self, error: Exception) -> None:
        log.debug("NATS: %s", describe(error))
        if isinstance(error, nats.errors.SlowConsumerError):
            self._on_missed()
        elif (found := NOT_PERMITTED.search(str(error))) is not None:
            self._told_forbidden(found[1].lower(), found[2])
        elif self._requester is not None and (why := self._why(error)) is not None:
            self._tell_once(f"NATS: {why}")  # it goes on trying, and nothing else would tell why that is in vain

    def _why(self, error: Exception) -> str | None:
        """Why the connection does not come back, where that is for somebody to mend."""
        if isinstance(error, NoCredential):
            return f"nothing to log in with, trying on: {error}"
        if isinstance(error, NotLetIn | nats.errors.AuthorizationError):
            by = f" with {self._credentials}" if self._credentials else ""
            return f"the login{by} is refused, or nobody is there to take it; trying on ({describe(error)})"
        return explain(error)

    def _told_forbidden(self, what: str, subject: str) -> None:
        if what == "publish":
            if len(self._forbidden) >= _MOST_FORBIDDEN:
                self._forbidden.pop(next(iter(self._forbidden)))
            self._forbidden[subject] = asyncio.get_running_loop().time() + FORBIDDEN_FOR
        doing = "publishing to" if what == "publish" else "hearing"
        by = f" to {self._credentials}" if self._credentials else ""
        self._tell_once(f"NATS does not permit {doing} {subject}{by}")

    def _tell_once(self, what: str) -> None:
        if what not in self._told and len(self._told) < _MOST_FORBIDDEN:
            self._told.add(what)
            log.error("%s", what)

    def _last_error(self) -> str:
        error = self._client.last_error if self._client is not None else None
        return describe(error) if error is not None else "no reason given"


def _decoded(subject: str, payload: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.MsgspecError as error:
        raise HubError(f"{subject}: the hub's answer was not understood ({error})") from None
