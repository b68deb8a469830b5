"""The raw things that the hub is held against: bare nats-py on uvloop, in a process of its own.

Usage: python -m tests.benchmarks.baselines echo NATS_URL SUBJECT REPLY_FILE
       python -m tests.benchmarks.baselines hear NATS_URL SUBJECTS COUNT_SUBJECT
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.wire.registration import Heartbeat

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


if __name__ == "__main__":
    uvloop.run({"echo": echo, "hear": hear}[sys.argv[1]](*sys.argv[2:]))
