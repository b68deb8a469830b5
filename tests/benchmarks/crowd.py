"""Many callers of a hub's HTTP face, in a process of their own: connections that ask now and then, and watchers.

Usage: python -m tests.benchmarks.crowd HOST PORT CONNECTIONS WATCHERS PATH BEATING
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import uvloop

from hub.sidecar.descriptors import make_room
from tests.benchmarks.baselines import CHANGES_EVERY
from tests.benchmarks.browser import Browser, request

_ROOT = Path(__file__).parent.parent.parent
_ASKS_EVERY = 1.0
"""Seconds from one request of a connection to its next."""


async def crowd(host: str, port: int, connections: int, watchers: int, path: str, beating: str) -> None:
    """Ask and watch until whoever started this is gone; `beating` is the path of the instance that changes."""
    make_room(connections + watchers)
    asking = [await Browser.connect(host, port) for _ in range(connections)]
    watching = [await Browser.connect(host, port) for _ in range(watchers)]
    for browser in watching:
        browser.send(request("GET", "/discovery/watch"))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ask(asking, request("GET", path)))]
        tasks.append(group.create_task(_change(await Browser.connect(host, port), beating)))
        await asyncio.sleep(_ASKS_EVERY)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
    for browser in (*asking, *watching):
        browser.close()
    assert all(browser.responses for browser in asking), "a connection was never answered"
    told = min((browser.received for browser in watching), default=0)
    print(sum(browser.responses for browser in asking), told, flush=True)


async def _ask(browsers: list[Browser], message: bytes) -> None:
    """Let each ask once in a while, evenly spread."""
    loop = asyncio.get_running_loop()
    began, asked = loop.time(), 0
    while True:
        due = int((loop.time() - began) / _ASKS_EVERY * len(browsers))
        for number in range(asked, due):
            browsers[number % len(browsers)].send(message)
        asked = due
        await asyncio.sleep(0.001)


async def _change(browser: Browser, path: str) -> None:
    """Let an instance change again and again."""
    for status in cycle(["warning", "passing"]):
        browser.send(request("PUT", path, b'{"status":"%b"}' % status.encode()))
        await asyncio.sleep(CHANGES_EVERY)


@contextmanager
def running(host: str, port: int, connections: int, watchers: int, path: str, beating: str) -> Iterator[None]:
    """The crowd, for as long as the context lasts; it begins when all of them are there."""
    command = [sys.executable, "-m", "tests.benchmarks.crowd", host, str(port), str(connections), str(watchers)]
    with subprocess.Popen(
        [*command, path, beating], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line == "ready\n", f"the crowd did not come together: {line!r}"
            yield
            process.stdin.close()
            answered, told = map(int, process.stdout.readline().split())
            assert answered >= connections
            assert told > 0 or not watchers, "a watcher was told nothing"
        finally:
            process.stdin.close()
            process.wait(20)


if __name__ == "__main__":
    uvloop.run(crowd(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6]))
