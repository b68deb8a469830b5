"""Requests over one inbox: a counter and a bare future each, in place of a subscription or a task each.

A NUID, a `wait_for` and a task per request cost nats-py about half of what a request costs in all; here one wildcard
subscription takes every reply, and one sweeper fails the requests whose deadline has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from types import TracebackType
from typing import Literal, Self

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hub.errors import DeadlineExceeded, Forbidden, PayloadTooLarge, Unavailable
from hub.transport.connection import describe
from hub.transport.direct import subscribe_direct
from hub.transport.loops import Beat, Keep, Kept, alone, woken
from hub.transport.sturdy import SturdyClient

DEFAULT_TIMEOUT = 2.0
_SWEEP_INTERVAL = 0.02
_NOBODY = ("", None)
_DEAF = "not asked: the server does not permit this login to take replies below its inbox"


def not_permitted(subject: str, refusal: type[Forbidden | Unavailable] = Forbidden) -> Forbidden | Unavailable:
    """What is raised where the server does not permit to publish there."""
    return refusal(f"{subject}: not permitted on this NATS to who is logged in", field=subject)


class Requester:
    """Sends requests on a connection and waits for their replies.

    Args:
        client: The connection.
        keep: What runs its sweeper, which fails the requests that nobody answers.
        name: The name of the sweeper.
        refusal: What is raised where the server does not permit to ask. A hub that may not is no fault of who asks it;
            clients take `Forbidden`.
    """

    def __init__(
        self,
        client: Client,
        *,
        keep: Keep = alone,
        name: str = "requests-sweeper",
        refusal: type[Forbidden | Unavailable] = Unavailable,
    ) -> None:
        self._client = client
        self._keep = keep
        self._name = name
        self._loop = asyncio.get_running_loop()  # asking for it is a system call, dear once in every request
        self._prefix = client.new_inbox() + "."
        self._count = 0
        self._waiting: dict[str, tuple[str, asyncio.Future[Msg]]] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._subscription: Subscription | None = None
        self._sweeper: Kept | None = None
        self._overdue = asyncio.Event()
        self._deaf = False
        self._refusal = refusal

    async def __aenter__(self) -> Self:
        if isinstance(self._client, SturdyClient):
            self._client.concerned.add(self)
        self._subscription = await subscribe_direct(self._client, self._prefix + "*", self._on_reply)
        self._sweeper = self._keep(self._name, self._sweep)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Fail what still waits, and stop. The connection stays open."""
        if isinstance(self._client, SturdyClient):
            self._client.concerned.discard(self)
        if self._sweeper is not None:
            await self._sweeper.aclose()
            self._sweeper = None
        self._fail_all(Unavailable, "the connection is being closed")
        if self._subscription is not None and not self._client.is_closed:
            with contextlib.suppress(nats.errors.Error):  # closed or draining meanwhile: it ends with that
                await self._subscription.unsubscribe()
        self._subscription = None

    def told_forbidden(self, what: Literal["publish", "subscription"], subject: str) -> None:
        """The server does not permit it: whoever asked on this subject is told so, in place of waiting for nothing."""
        if what == "publish":
            refused = [token for token, (asked, _) in self._waiting.items() if asked.lower() == subject]
            for token in refused:
                asked, future = self._waiting.pop(token)
                if not future.done():
                    future.set_exception(not_permitted(asked, self._refusal))
        elif subject == f"{self._prefix}*".lower():
            self._deaf = True
            self._fail_all(self._refusal, _DEAF)

    def told_anew(self, *, moved: bool) -> None:
        """What was asked before will not be answered, where replies are taken elsewhere from now on."""
        self._deaf = False
        if not moved:
            return
        self._fail_all(Unavailable, "the connection was lost, and made anew with another login")
        if self._subscription is not None:
            self._prefix = self._subscription.subject[:-1]

    def _fail_all(self, kind: type[Forbidden | Unavailable], why: str) -> None:
        for subject, future in self._waiting.values():
            if not future.done():
                future.set_exception(kind(f"{subject}: {why}"))
        self._waiting.clear()

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Msg:
        """Send one request and return its first reply, whatever that says.

        Raises:
            DeadlineExceeded: no reply within `timeout` seconds.
            Forbidden (the `refusal`): the server does not permit to ask this, or to take replies.
            Unavailable: nobody listens on the subject, or the connection is gone and its buffer full.
            PayloadTooLarge: larger than the server takes.
        """
        return await (await self.begin(subject, payload, headers=headers, timeout=timeout))

    async def begin(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> asyncio.Future[Msg]:
        """Send one request, and return the future of its first reply, so that many may be under way from one task.

        The future raises as `request` does, or is cancelled by whoever no longer wants it.

        Raises:
            Forbidden (the `refusal`): the server does not permit to take replies.
            Unavailable: the connection is gone and its buffer full.
            PayloadTooLarge: larger than the server takes.
        """
        if self._deaf:
            raise self._refusal(f"{subject}: {_DEAF}")
        self._count += 1
        token = str(self._count)
        future: asyncio.Future[Msg] = self._loop.create_future()
        self._waiting[token] = subject, future
        heapq.heappush(self._deadlines, (self._loop.time() + timeout, token))
        self._overdue.set()
        try:
            await self._client.publish(subject, payload, reply=self._prefix + token, headers=headers)
        except nats.errors.MaxPayloadError:
            future.cancel()
            raise PayloadTooLarge(
                f"{subject}: expected at most {self._client.max_payload} bytes, got {len(payload)}"
            ) from None
        except (nats.errors.Error, OSError) as error:
            future.cancel()
            raise Unavailable(f"{subject}: not sent ({describe(error)})") from None
        return future

    async def _on_reply(self, message: Msg) -> None:
        subject, future = self._waiting.pop(message.subject[len(self._prefix) :], _NOBODY)
        if future is None or future.done():
            return
        if message.headers and message.headers.get("Status") == "503" and not message.data:
            future.set_exception(Unavailable(f"{subject}: nobody listens (is a hub running on this NATS?)"))
        else:
            future.set_result(message)

    async def _sweep(self, beat: Beat) -> None:
        while True:
            beat()
            if not self._deadlines:
                self._overdue.clear()
                await woken(self._overdue, beat)
            await asyncio.sleep(_SWEEP_INTERVAL)
            now = self._loop.time()
            while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][1] not in self._waiting):
                _, token = heapq.heappop(self._deadlines)
                subject, future = self._waiting.pop(token, _NOBODY)
                if future is not None and not future.done():
                    future.set_exception(DeadlineExceeded(f"{subject}: no answer in time"))
