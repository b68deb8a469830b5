"""A TCP proxy that stalls or cuts its connections on command, as networks do."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from tests import enforcing
from tests.waiting import stop_listening

_CHUNK = 64 * 1024


class Proxy:
    """Forwards a free local port to another one.

    Args:
        port: Where to forward to, on 127.0.0.1.

    Attributes:
        passed: All that has passed, in both directions, one chunk after the other of each connection.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.passed = bytearray()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where clients connect."""
        assert self._server is not None, "the proxy is not running"
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        enforcing.passed_on(self._server.sockets[0].getsockname()[1], self._target)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        await stop_listening(self._server)
        self.resume()
        self.cut()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def stall(self) -> None:
        """Forward nothing from now on, not even that an end has closed; connections stay open."""
        self._flowing.clear()

    def resume(self) -> None:
        """Forward again, beginning with what came meanwhile."""
        self._flowing.set()

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await self._flowing.wait()
        try:
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(onward)
        for source, sink in ((reader, onward), (onward_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(_CHUNK):
                await self._flowing.wait()
                self.passed += chunk
                sink.write(chunk)
                await sink.drain()
            await self._flowing.wait()
        except OSError:
            pass  # cut, by a test or by one of the ends
        finally:
            sink.transport.abort()
            self._writers.discard(sink)
