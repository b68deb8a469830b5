"""A lean HTTP client for measuring: one connection, requests as bytes, responses counted and thrown away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from time import perf_counter
from typing import cast

from tests.benchmarks.wire import PATIENCE

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    return b"%b %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (
        method.encode(),
        path.encode(),
        len(body),
        body,
    )


class Browser(asyncio.Protocol):
    """One connection.

    Attributes:
        responses: How many have come as a whole.
        received: How many bytes have come.
        refused: How many of the responses were no success.
    """

    def __init__(self) -> None:
        self.responses = 0
        self.received = 0
        self.refused = 0
        self._again = b""
        self._until = 0.0
        self._done: asyncio.Future[None] | None = None
        self._rest = b""
        self._transport: asyncio.Transport

    @classmethod
    async def connect(cls, host: str, port: int) -> Browser:
        """One that is connected."""
        _, browser = await asyncio.get_running_loop().create_connection(cls, host, port)
        return browser

    def send(self, message: bytes) -> None:
        """Send a request, whether or not the one before is answered."""
        self._transport.write(message)

    def keep_asking(self, message: bytes, until: float) -> asyncio.Future[None]:
        """Ask again as soon as it is answered; the future is done with the first answer after that time."""
        self._again, self._until = message, until
        self._done = asyncio.get_running_loop().create_future()
        self.send(message)
        return self._done

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(f"the server hung up: {error}"))

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self.received += len(data)
        data = self._rest + data if self._rest else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(data, 0, end + 2)
            if length is None and b" 204 " not in data[:20]:
                self._rest = b""  # a stream of events, which is not looked at
                return
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(data) < whole:
                break
            self.refused += data[9:10] != b"2"
            self.responses += 1
            data = data[whole:]
            self._answered()
        self._rest = data

    def _answered(self) -> None:
        if self._done is None or self._done.done():
            return
        if perf_counter() < self._until:
            self.send(self._again)
        else:
            self._done.set_result(None)


async def rate(browsers: Sequence[Browser], message: bytes, seconds: float) -> float:
    """The responses per second while all of them keep asking."""
    before = sum(browser.responses for browser in browsers)
    began = perf_counter()
    async with asyncio.timeout(seconds + PATIENCE):
        await asyncio.gather(*(browser.keep_asking(message, began + seconds) for browser in browsers))
    answered = sum(browser.responses for browser in browsers) - before
    assert not any(browser.refused for browser in browsers)
    return answered / (perf_counter() - began)
