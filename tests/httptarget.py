"""HTTP servers to be probed: many health endpoints on one port, each of which can be made to misbehave."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from tests.waiting import stop_listening

Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(status: str, body: bytes = b"", headers: str = "") -> bytes:
    """One whole response."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


async def well(writer: asyncio.StreamWriter) -> None:
    writer.write(answer("200 OK"))


async def broken(writer: asyncio.StreamWriter) -> None:
    writer.write(answer("503 Service Unavailable"))


async def redirecting(writer: asyncio.StreamWriter) -> None:
    writer.write(answer("302 Found", headers="Location: /health/elsewhere\r\n"))


async def hanging(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def trickling(writer: asyncio.StreamWriter) -> None:
    for byte in answer("200 OK", b"x" * 1000):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.2)


async def endless(writer: asyncio.StreamWriter) -> None:
    """A hundred megabytes, as fast as they are taken."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
    for _ in range(1600):
        writer.write(b"x" * 65536)
        await writer.drain()


async def flipping(writer: asyncio.StreamWriter) -> None:
    """Well in one second, broken in the next."""
    await (well if int(asyncio.get_running_loop().time()) % 2 else broken)(writer)


class HttpTarget:
    """A server on a free port of this machine.

    Args:
        tls: How it speaks TLS; None has it speak in the clear.

    Attributes:
        asked: How often each path was asked for, and when by the loop's clock.
        behaviours: What each path does; `well` unless set.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.asked: defaultdict[str, list[float]] = defaultdict(list)
        self.behaviours: dict[str, Respond] = {}
        self.default: Respond = well
        self._server: asyncio.Server
        self._open: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def count(self, since: float = 0.0) -> Counter[str]:
        """How often each path was asked for since a moment of the loop's clock."""
        return Counter({path: sum(when >= since for when in asked) for path, asked in self.asked.items()})

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await stop_listening(self._server)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            line = await reader.readline()
            path = line.split(b" ")[1].decode() if line.count(b" ") == 2 else ""
            self.asked[path].append(asyncio.get_running_loop().time())
            await self.behaviours.get(path, self.default)(writer)
            await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass  # whoever asked has gone, or the test is over
        finally:
            self._open.discard(task)
            writer.close()
