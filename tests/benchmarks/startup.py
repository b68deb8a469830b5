"""`hub up` in an empty folder, until it has answered its first registration; and nats-server alone beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter

from hub.errors import HubError
from hub.transport.requests import Requester
from tests.benchmarks.fleet import ask, registration, requesting
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say
from tests.benchmarks.wire import PATIENCE
from tests.hubs import HubProcess
from tests.servers import NatsServer, free_port

_AGAIN_AFTER = 0.01


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """Seconds, median and longest."""
    numbers = count(1)
    hub: list[float] = []
    bare: list[float] = []
    for number in range(1, pace.starts + 1):
        hub.append(await _hub(folder / f"hub-{next(numbers)}"))
        bare.append(await _server(folder / f"nats-{next(numbers)}"))
        say(f"cold start: {number} of {pace.starts}: hub {hub[-1]:.2f} s, nats-server alone {bare[-1]:.2f} s")
    name = "hub up, cold start to first registration answered"
    bar = Bar("<=", 2.0, of="figure")
    return [
        Row(
            name=f"{name}: median / nats-server alone to first request answered",
            unit="s",
            ours=median(hub),
            baseline=median(bare),
            ratio=median(hub) / median(bare),
            bar=bar,
            rounds={"ours": hub, "baseline": bare},
        ),
        Row(name=f"{name}: longest of {len(hub)}", unit="s", ours=max(hub), bar=bar),
    ]


async def _hub(folder: Path) -> float:
    hub = HubProcess(folder)
    hub.nats_url = f"nats://127.0.0.1:{free_port()}"
    began = perf_counter()
    hub.start(wait=False)
    try:
        await _until_answered(hub.nats_url, lambda r: ask(r, "hub.register", registration("first", 0)))
        return perf_counter() - began
    finally:
        hub.kill()


async def _server(folder: Path) -> float:
    server = NatsServer(folder)
    began = perf_counter()
    server.start(wait=False)
    try:
        await _until_answered(server.url, lambda r: ask(r, "$JS.API.INFO", b""))
        return perf_counter() - began
    finally:
        server.kill()


async def _until_answered(url: str, attempt: Callable[[Requester], Awaitable[object]]) -> None:
    began = perf_counter()
    while not await _listens(url):
        assert perf_counter() - began < PATIENCE, f"nobody listens at {url}"
        await asyncio.sleep(_AGAIN_AFTER)
    async with requesting(url) as (_, requester):
        while True:
            try:
                await attempt(requester)
                return
            except HubError:
                assert perf_counter() - began < PATIENCE, "the first request is not answered"
                await asyncio.sleep(_AGAIN_AFTER)


async def _listens(url: str) -> bool:
    host, _, port = url.removeprefix("nats://").partition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True
