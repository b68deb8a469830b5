"""The raw things that the hub is held against, on uvloop, in a process of their own: bare nats-py, and bare starlette.

Usage: python -m tests.benchmarks.baselines echo NATS_URL SUBJECT REPLY_FILE
       python -m tests.benchmarks.baselines hear NATS_URL SUBJECTS COUNT_SUBJECT
       python -m tests.benchmarks.baselines serve HOST PORT PATH REPLY_FILE
       python -m tests.benchmarks.baselines be_well PORT...
       python -m tests.benchmarks.baselines look_at RATE PORT...
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import nats
import uvicorn
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hub.sidecar.descriptors import make_room
from hub.wire.registration import Heartbeat

CHANGES_EVERY = 0.2
"""Seconds from one event that watchers are told to the next."""

_CONNECTIONS = 2048

_ROOT = Path(__file__).parent.parent.parent


async def echo(url: str, subject: str, file: str) -> None:
    """Answer every request with the same bytes."""
    reply = await asyncio.to_thread(Path(file).read_bytes)
    client = await nats.connect(url)

    async def answer(message: Msg) -> None:
        await client.publish(message.reply, reply)

    await client.subscribe(subject, queue="echo", cb=answer)
    await _stay(client)


async def hear(url: str, subject: str, count_subject: str) -> None:
    """Decode every heartbeat; tell how many there were to whoever asks."""
    client = await nats.connect(url)
    decode = msgspec.json.Decoder(Heartbeat).decode
    heard = 0

    async def take(message: Msg) -> None:
        nonlocal heard
        decode(message.data)
        heard += 1

    async def tell(message: Msg) -> None:
        await client.publish(message.reply, b"%d" % heard)

    await client.subscribe(subject, cb=take)
    await client.subscribe(count_subject, cb=tell)
    await _stay(client)


async def serve(host: str, port: str, path: str, file: str) -> None:
    """Answer every HTTP request with the same bytes; those who watch, with them again and again."""
    make_room(_CONNECTIONS)
    body = await asyncio.to_thread(Path(file).read_bytes)

    async def answer(request: Request) -> Response:
        return Response(body, media_type="application/json")

    async def events() -> AsyncIterator[bytes]:
        while True:
            yield b"event: put\ndata: %b\n\n" % body
            await asyncio.sleep(CHANGES_EVERY)

    async def watch(request: Request) -> Response:
        return StreamingResponse(events(), media_type="text/event-stream")

    beat = Route("/{path:path}/heartbeat", answer, methods=["PUT"])
    app = Starlette(routes=[Route(path, answer), Route("/discovery/watch", watch), beat])
    config = uvicorn.Config(app, host=host, port=int(port), http="h11", log_config=None, access_log=False)
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`; says so."""
        await super().startup(sockets)
        print("ready", flush=True)


class _Healthy(asyncio.Protocol):
    """Answers every HTTP request with 200, as cheaply as can be."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if self._rest.endswith(b"\r\n\r\n"):
            self._rest = b""
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def be_well(*ports: str) -> None:
    """Be the health endpoints of instances that are well."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(_Healthy, "127.0.0.1", int(port), backlog=1024) for port in ports]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for server in servers:
        server.close()


async def look_at(rate: str, *ports: str) -> None:
    """Make so many HTTP probes a second, as bare as they can be, of those who listen on these ports."""
    looks: set[asyncio.Task[None]] = set()

    async def look(port: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.close()

    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    began, made = loop.time(), 0
    while not ended.done():
        while made < (loop.time() - began) * float(rate):
            task = asyncio.create_task(look(ports[made % len(ports)]))
            looks.add(task)
            task.add_done_callback(looks.discard)
            made += 1
        await asyncio.sleep(0.001)
    await asyncio.gather(*looks)


async def _stay(client: Client) -> None:
    await client.flush()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)  # ends with whoever started this
    await client.close()


@contextmanager
def running(*arguments: str) -> Iterator[None]:
    """One of them, for as long as the context lasts; it begins when it listens."""
    command = [sys.executable, "-m", "tests.benchmarks.baselines", *arguments]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line == "ready\n", f"the baseline did not start: {line!r}"
            yield
        finally:
            process.stdin.close()
            process.wait(20)


_WORKS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "echo": echo,
    "hear": hear,
    "serve": serve,
    "be_well": be_well,
    "look_at": look_at,
}


if __name__ == "__main__":
    uvloop.run(_WORKS[sys.argv[1]](*sys.argv[2:]))
