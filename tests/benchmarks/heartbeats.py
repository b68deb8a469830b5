"""Heartbeats as fast as a hub takes them in, beside a bare subscriber that decodes the same ones."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from urllib.request import urlopen

from hub.transport.requests import Requester
from tests.benchmarks import baselines
from tests.benchmarks.fleet import register_all, registrations, requesting
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, in_turn
from tests.benchmarks.wire import PATIENCE, Load, publication
from tests.hubs import HubProcess

_INSTANCES = 1000
_HEARD = "bench.beat"
_HOW_MANY = "bench.count"
_TOLD = re.compile(rb"^hub_heartbeats_total(?:\{[^}]*\})? (?P<count>\S+)$", re.MULTILINE)
_LOOK_EVERY = 0.02
_TOGETHER = 2000
"""Beats handed to the socket at a time."""

Counted = Callable[[], Awaitable[int]]


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """Beats a second, counted by who heard them."""
    with HubProcess(folder / "hub") as hub:
        async with requesting(hub.nats_url) as (_, requester):
            await register_all(requester, registrations("beating", _INSTANCES))
            with baselines.running("hear", hub.nats_url, f"{_HEARD}.*.*", _HOW_MANY):
                return await _compare(hub, requester, pace, say)


async def _compare(hub: HubProcess, requester: Requester, pace: Pace, say: Say) -> list[Row]:
    load = await Load.connect(hub.nats_url)

    async def by_hub() -> int:
        return await asyncio.to_thread(_scrape, hub.http_url)

    async def by_listener() -> int:
        return int((await requester.request(_HOW_MANY, timeout=PATIENCE)).data)

    ours, bare = _beats("hub.heartbeat", pace.beats), _beats(_HEARD, pace.beats)
    figures = await in_turn(
        "heartbeats",
        pace,
        {
            "hub": lambda: _flooded(load, ours, pace.beats, by_hub),
            "listener": lambda: _flooded(load, bare, pace.beats, by_listener),
        },
        say,
    )
    load.close()
    name = "heartbeats taken in / bare decoding subscriber"
    return [Row.compared(name, "/s", figures["hub"], figures["listener"], Bar(">=", 0.6))]


def _beats(prefix: str, amount: int) -> list[bytes]:
    """So many beats, of each instance in turn; the load that an instance reports changes from beat to beat."""
    keys = (f"{prefix}.beating-{number // 20}.beating-{number // 20}-{number}" for number in cycle(range(_INSTANCES)))
    beats = [
        publication(key, b'{"status":"passing","load":0.%d}' % (turn // _INSTANCES % 9 + 1))
        for turn, key in enumerate(islice(keys, amount))
    ]
    return [b"".join(beats[start : start + _TOGETHER]) for start in range(0, amount, _TOGETHER)]


async def _flooded(load: Load, beats: list[bytes], amount: int, counted: Counted) -> float:
    """Send them all; returns how many a second were taken in, all of them having been."""
    target = await counted() + amount
    began = perf_counter()
    await load.flood(beats)
    while await counted() < target:
        assert perf_counter() - began < PATIENCE, "heartbeats were lost"
        await asyncio.sleep(_LOOK_EVERY)
    return amount / (perf_counter() - began)


def _scrape(url: str) -> int:
    with urlopen(f"{url}/metrics", timeout=PATIENCE) as response:
        found = _TOLD.search(response.read())
    assert found is not None, "the hub does not count heartbeats"
    return int(float(found["count"]))
