"""Many connections that follow something and acknowledge it, in a process of their own.

Usage: python -m tests.benchmarks.followers raw NATS_URL SUBJECT ACK_SUBJECT COUNT
       python -m tests.benchmarks.followers sdk NATS_URL SERVICE FIRST COUNT
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client import CentralHubClient
from hub.sidecar.descriptors import make_room

_ROOT = Path(__file__).parent.parent.parent
_AT_ONCE = 25


async def raw(url: str, subject: str, acknowledge: str, count: str) -> None:
    """Bare nats-py: whatever comes is acknowledged with an empty message."""
    clients = []
    for _ in range(int(count)):
        client = await nats.connect(url)

        async def answer(message: Msg, client: Client = client) -> None:
            await client.publish(acknowledge)

        await client.subscribe(subject, cb=answer)
        await client.flush()
        clients.append(client)
    await _stay()
    for client in clients:
        await client.close()


async def sdk(url: str, service: str, first: str, count: str) -> None:
    """Services as the SDK makes them, each with its configuration loaded."""
    async with AsyncExitStack() as stack:

        async def begin(number: int) -> None:
            client = CentralHubClient(
                service, instance_id=f"f{number}", host="127.0.0.1", port=1 + number, nats_url=url, ttl=60
            )
            await stack.enter_async_context(client)
            await client.config.load()

        numbers = list(range(int(first), int(first) + int(count)))
        for start in range(0, len(numbers), _AT_ONCE):
            await asyncio.gather(*map(begin, numbers[start : start + _AT_ONCE]))
        await _stay()


async def _stay() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)  # ends with whoever started this


@contextmanager
def following(*commands: tuple[str, ...]) -> Iterator[None]:
    """A process for each command, for as long as the context lasts; it begins when all of them follow."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.followers", *command],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line == "ready\n", f"the followers did not start: {line!r}"
        yield
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in processes:
            process.wait(60)


if __name__ == "__main__":
    make_room(4096)
    uvloop.run({"raw": raw, "sdk": sdk}[sys.argv[1]](*sys.argv[2:]))
