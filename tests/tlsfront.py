"""TLS in front of real servers whose builds here speak none: it ends here, and goes on in the clear."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator

from tests.waiting import stop_listening

_CHUNK = 64 * 1024
_POSTGRES_ASKS = struct.pack("!II", 8, 80877103)
"""The SSLRequest of PostgreSQL's protocol."""


@contextlib.asynccontextmanager
async def in_front(
    port: int, tls: ssl.SSLContext, *, postgres: bool = False, offers: bytes = b"S"
) -> AsyncIterator[int]:
    """A port that speaks TLS, and goes on to another one.

    Args:
        port: Where to go on to, on 127.0.0.1.
        tls: How to speak it.
        postgres: Whether TLS begins when it is asked for, as PostgreSQL has it.
        offers: What is answered to that.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        inner: asyncio.StreamWriter | None = None
        try:
            first = b""
            if postgres:
                first = await reader.readexactly(8)
                if first == _POSTGRES_ASKS:
                    first = b""
                    writer.write(offers)
                    if offers == b"S":
                        await writer.start_tls(tls)
            back, inner = await asyncio.open_connection("127.0.0.1", port)
            inner.write(first)
            pumps = [asyncio.ensure_future(_pump(reader, inner)), asyncio.ensure_future(_pump(back, writer))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one of them has left, or the test has ended
        finally:
            tasks.discard(task)
            for each in filter(None, (inner, writer)):
                each.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=None if postgres else tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await stop_listening(server)
        ending = list(tasks)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.sleep(0)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
