"""Servers that behave as no server should, and remember what was asked of them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.waiting import stop_listening

_TRICKLE = 0.05


class Peer:
    """A server on 127.0.0.1."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.busy = 0
        """Connections that are open now."""
        self.requests: list[bytes] = []
        """The head of every request, where the behaviour reads it."""
        self.sent = 0
        """Bytes that were got rid of: read by the other side, or kept for it by the system."""

    async def heard(self, reader: asyncio.StreamReader) -> None:
        """Read the head of a request."""
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))

    async def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Send, no faster than it is taken."""
        writer.write(data)
        await writer.drain()
        self.sent += len(data)


Behaviour = Callable[[Peer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(behave: Behaviour, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A server that behaves so on every connection, and closes it where the behaviour ends."""
    peer = Peer()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.connections += 1
        peer.busy += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await behave(peer, reader, writer)
            writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has left, or the test has ended
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            tasks.discard(task)
            peer.busy -= 1

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        await stop_listening(server)
        ending = list(tasks)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next turn


def answering(answer: bytes) -> Behaviour:
    """Reads a request, answers, and leaves the connection open for another."""

    async def behave(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.heard(reader)
            await peer.send(writer, answer)

    return behave


def saying(words: bytes) -> Behaviour:
    """Says its piece without having been asked, and waits."""

    async def behave(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.send(writer, words)
        await reader.read()

    return behave


def trickling(answer: bytes, start: bytes = b"") -> Behaviour:
    """Sends a byte at a time, again and again from the beginning, for as long as somebody listens."""

    async def behave(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.heard(reader)
        await peer.send(writer, start)
        while True:
            for byte in answer:
                await peer.send(writer, bytes([byte]))
                await asyncio.sleep(_TRICKLE)

    return behave


def flooding(chunk: bytes, start: bytes = b"", *, times: int, ask: bool = True) -> Behaviour:
    """Sends the same over and over, as fast as it is taken."""

    async def behave(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if ask:
            await peer.heard(reader)
        await peer.send(writer, start)
        for _ in range(times):
            await peer.send(writer, chunk)

    return behave


async def hanging(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes whatever comes, and says nothing."""
    while await reader.read(4096):
        pass


async def closing(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads the request and leaves."""
    await peer.heard(reader)


def answer(status: str = "200 OK", body: bytes = b"", *headers: str) -> bytes:
    """An HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
