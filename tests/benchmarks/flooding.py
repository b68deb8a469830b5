"""A hub that knows who asks, and somebody who asks far too often, in a process of its own each.

Usage: python -m tests.benchmarks.flooding serve NATS_URL KEYS_FOLDER
       python -m tests.benchmarks.flooding flood NATS_URL RATE
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from hub.settings import load
from hub.telemetry.logging import configure
from tests.accounts import proven_hub
from tests.benchmarks.wire import Load

QUESTION = b'{"name":"asked-for"}'
_ROOT = Path(__file__).parent.parent.parent


async def serve(url: str, keys: str) -> None:
    """Be a hub with the limits that are the default."""
    configure(level="error")
    async with proven_hub(url, Path(keys), load(overrides={"micro.adopt": False})):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def flood(url: str, rate: str) -> None:
    """Ask so often a second, whatever is answered; says at last how often that was, and how often it was answered."""
    load = await Load.connect(url)
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    print("ready", flush=True)
    asked, answered = await load.ask_on("hub.discover", QUESTION, rate=float(rate), until=ended)
    load.close()
    print(asked, answered, flush=True)


@contextmanager
def running(*arguments: str) -> Iterator[list[int]]:
    """One of them, from when it is ready, for as long as the context lasts. What it says at last is in the list."""
    command = [sys.executable, "-m", "tests.benchmarks.flooding", *arguments]
    said: list[int] = []
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line == "ready\n", f"it did not start: {line!r}"
            yield said
            process.stdin.close()
            said += map(int, process.stdout.readline().split())
        finally:
            process.stdin.close()
            process.wait(20)


_WORKS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"serve": serve, "flood": flood}


if __name__ == "__main__":
    uvloop.run(_WORKS[sys.argv[1]](*sys.argv[2:]))
