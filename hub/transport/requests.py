"""Requests over one inbox: a counter and a bare future each, in place of a subscription or a task each.

A NUID, a `wait_for` and a task per request cost nats-py about half of what a request costs in all; here one wildcard
subscription takes every reply, and one sweeper fails the requests whose deadline has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from types import TracebackType
from typing import Self

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hub.errors import DeadlineExceeded, PayloadTooLarge, Unavailable
from hub.transport.connection import describe
from hub.transport.direct import subscribe_direct
from hub.transport.loops import Beat, Keep, Kept, alone, woken

DEFAULT_TIMEOUT = 2.0
_SWEEP_INTERVAL = 0.02
_NOBODY = ("", None)


class Requester:
    """Sends requests on a connection and waits for their replies.

    Args:
        client: The connection.
        keep: What runs its sweeper, which fails the requests that nobody answers.
        name: The name of the sweeper.
    """

    def __init__(self, client: Client, *, keep: Keep = alone, name: str = "requests-sweeper") -> None:
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

    async def __aenter__(self) -> Self:
        self._subscription = await subscribe_direct(self._client, self._prefix + "*", self._on_reply)
        self._sweeper = self._keep(self._name, self._sweep)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Fail what still waits, and stop. The connection stays open."""
        if self._sweeper is not None:
            await self._sweeper.aclose()
            self._sweeper = None
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(Unavailable("request: the connection is being closed"))
        self._waiting.clear()
        if self._subscription is not None and not self._client.is_closed:
            with contextlib.suppress(nats.errors.Error):  # closed or draining meanwhile: it ends with that
                await self._subscription.unsubscribe()
        self._subscription = None

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
            Unavailable: the connection is gone and its buffer full.
            PayloadTooLarge: larger than the server takes.
        """
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
