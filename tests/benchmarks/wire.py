"""Just enough of a NATS client to load others with: bytes made beforehand go out, replies are counted as they come.

It costs a small part of what a request costs whoever answers it, so that what is measured is the answering.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from functools import partial
from secrets import token_hex
from time import perf_counter
from typing import Any, Self, cast
from urllib.parse import unquote, urlsplit

INBOX = b"_INBOX.load."
_HELLO = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "name": "load"}
PATIENCE = 60.0
_CATCH_UP = 0.02
"""Seconds that are made up for at once where the machine was busy with others."""


def publication(subject: str, payload: bytes, reply: bytes = b"") -> bytes:
    """A message as it goes over the wire."""
    return b"PUB %b %b%d\r\n%b\r\n" % (subject.encode(), reply + b" " if reply else b"", len(payload), payload)


class Load(asyncio.Protocol):
    """A connection that floods, or keeps so many requests in flight."""

    def __init__(self, login: dict[str, str] | None = None) -> None:
        self._login = login or {}
        self._loop = asyncio.get_running_loop()
        self._inbox = INBOX + token_hex(4).encode() + b"."
        self._pong = self._loop.create_future()
        self._lost = self._loop.create_future()
        self._drained = asyncio.Event()
        self._drained.set()
        self._rest = b""
        self._requests: list[bytes] = []
        self._sent: list[float] = []
        self._until = 0.0
        self._in_flight = 0
        self._done: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport
        self.latencies: list[float] = []
        self.refused = 0

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Connect, with user and password where the URL has them, and return once the server has answered."""
        parts = urlsplit(url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 4222
        login = {"user": unquote(parts.username), "pass": unquote(parts.password or "")} if parts.username else None
        _, load = await asyncio.get_running_loop().create_connection(partial(cls, login), host, port)
        await load.flush()
        return load

    def close(self) -> None:
        """Hang up."""
        self._lost.cancel()
        self._transport.close()

    async def flush(self) -> None:
        """Return once the server has taken everything sent so far."""
        if not self._lost.done():
            self._pong = self._loop.create_future()
            self._transport.write(b"PING\r\n")
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait([self._pong, self._lost], return_when=asyncio.FIRST_COMPLETED)
        if self._lost.done():
            await self._lost

    async def flood(self, blobs: Iterable[bytes]) -> None:
        """Send them all as fast as the server takes them; each is of whole messages, since a PONG may come between."""
        for blob in blobs:
            self._transport.write(blob)
            await self._drained.wait()
        await self.flush()

    async def keep_asking(self, subject: str, payload: bytes, *, in_flight: int, seconds: float) -> float:
        """Keep so many requests in flight; returns the replies per second. `latencies` has how long each took."""
        self._requests = [publication(subject, payload, self._inbox + b"%d" % slot) for slot in range(in_flight)]
        self._transport.write(b"SUB %b* 1\r\n" % self._inbox)
        await self.flush()
        self.latencies, self.refused = [], 0
        self._done = self._loop.create_future()
        began = perf_counter()
        self._until = began + seconds
        self._sent = [began] * in_flight
        self._in_flight = in_flight
        self._transport.write(b"".join(self._requests))
        async with asyncio.timeout(seconds + PATIENCE):
            await self._done
        took = perf_counter() - began
        self._transport.write(b"UNSUB 1\r\n")
        assert not self.refused, f"{self.refused} of {len(self.latencies)} requests to {subject} were refused"
        return len(self.latencies) / took

    async def ask_at(self, subject: str, payload: bytes, *, rate: float, seconds: float) -> float:
        """Ask so often a second, however long answers take; returns the replies per second. See `keep_asking`."""
        amount = max(1, round(rate * seconds))
        self._transport.write(b"SUB %b* 1\r\n" % self._inbox)
        await self.flush()
        self.latencies, self.refused = [], 0
        self._done = self._loop.create_future()
        began = perf_counter()
        self._until = began  # nothing is asked anew
        self._sent = [began] * amount
        self._in_flight = amount
        for number in range(amount):
            if (wait := began + number / rate - perf_counter()) > 0:
                await asyncio.sleep(wait)
            self._sent[number] = perf_counter()
            self._transport.write(publication(subject, payload, self._inbox + b"%d" % number))
        async with asyncio.timeout(PATIENCE):
            await self._done
        took = perf_counter() - began
        self._transport.write(b"UNSUB 1\r\n")
        assert not self.refused, f"{self.refused} of {len(self.latencies)} requests to {subject} were refused"
        return len(self.latencies) / took

    async def ask_on(self, subject: str, payload: bytes, *, rate: float, until: asyncio.Task[Any]) -> tuple[int, int]:
        """Ask so often a second until something ends; returns how often that was, and how many answers came."""
        self._transport.write(b"SUB %b* 1\r\n" % self._inbox)
        await self.flush()
        self.latencies = []
        message = publication(subject, payload, self._inbox + b"0")
        self._sent, self._until = [0.0], 0.0
        self._in_flight = 0
        began, asked = perf_counter(), 0
        while not until.done():
            await self._drained.wait()
            due = int((perf_counter() - began) * rate) - asked
            if due > rate * _CATCH_UP:
                began += due / rate - _CATCH_UP
                due = int(rate * _CATCH_UP)
            self._transport.write(message * due)
            asked += due
            await asyncio.sleep(0.001)
        return asked, len(self.latencies)

    # --- the protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.write(b"CONNECT %b\r\n" % json.dumps({**_HELLO, **self._login}).encode())

    def connection_lost(self, error: Exception | None) -> None:
        """Let nobody wait for what will not come."""
        self._drained.set()
        if not self._lost.done():
            self._lost.set_exception(ConnectionError(f"the NATS server hung up: {error}"))
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(f"the NATS server hung up: {error}"))

    def pause_writing(self) -> None:
        """The server takes no more at the moment."""
        self._drained.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._drained.set()

    def data_received(self, data: bytes) -> None:
        """Take in replies, and ask as many questions anew."""
        data = self._rest + data if self._rest else data
        now = perf_counter()
        again: list[bytes] = []
        at = 0
        while (end := data.find(b"\r\n", at)) >= 0:
            kind = data[at : at + 2]
            if kind in (b"MS", b"HM"):
                words = data[at:end].split(b" ")
                after = end + 4 + int(words[-1])
                if after > len(data):
                    break
                self.refused += kind == b"HM"
                self._answered(int(words[1][len(self._inbox) :]), now, again)
                at = after
            else:
                self._control(data[at:end])
                at = end + 2
        self._rest = data[at:]
        if again:
            self._transport.write(b"".join(again))

    def _answered(self, slot: int, now: float, again: list[bytes]) -> None:
        self.latencies.append(now - self._sent[slot])
        if now < self._until:
            self._sent[slot] = now
            again.append(self._requests[slot])
            return
        self._in_flight -= 1
        if not self._in_flight and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _control(self, line: bytes) -> None:
        if line == b"PING":
            self._transport.write(b"PONG\r\n")
        elif line == b"PONG" and not self._pong.done():
            self._pong.set_result(None)
        elif line.startswith(b"-ERR") and not self._lost.done():
            self._lost.set_exception(ConnectionError(line.decode()))
