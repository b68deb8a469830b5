"""As much HTTP as the examples need, so that they need nothing but Python: one GET per connection, JSON bodies."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from typing import Any

Answer = Callable[[str], Awaitable[tuple[int, Any]]]
"""From a path to a status and what to send as JSON."""

PATIENCE = 5.0
"""Seconds for a caller to send its request, and for a server to answer."""


async def serve(answer: Answer, *, host: str, port: int) -> tuple[asyncio.Server, int]:
    """Listen, and return the server and its port (port 0 takes a free one)."""

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                method, path, _ = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split(" ", 2)
            status, body = await answer(path) if method == "GET" else (405, {"error": "only GET is answered here"})
            writer.write(_message(f"HTTP/1.1 {status} -", json.dumps(body).encode()))
            await writer.drain()
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not HTTP, or nobody there any more: nobody to answer
        finally:
            writer.close()

    server = await asyncio.start_server(on_connection, host, port)
    return server, server.sockets[0].getsockname()[1]


async def get(host: str, port: int, path: str) -> tuple[int, Any]:
    """GET a path, and return the status and the decoded body.

    Raises:
        OSError: nobody listens there, or it hung up before it had answered.
        TimeoutError: it did not answer.
    """
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(_message(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}"))
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
    try:
        return int(head.split(b" ", 2)[1]), json.loads(body)
    except (IndexError, ValueError):
        raise ConnectionResetError(f"{host}:{port} hung up before it had answered") from None


async def until_told_to_stop() -> None:
    """Return on SIGTERM or Ctrl-C."""
    told = asyncio.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sig, told.set)
    await told.wait()


def _message(head: str, body: bytes = b"") -> bytes:
    fields = f"{head}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return fields.encode() + body
