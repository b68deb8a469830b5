"""The HTTP face: its speed beside a bare route of the same bytes, and what a crowd on it costs those on NATS."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import median

import httpx

from tests.benchmarks import baselines, crowd
from tests.benchmarks.browser import Browser, rate, request
from tests.benchmarks.fleet import register_all, registration, registrations, requesting
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, in_turn, quantile
from tests.benchmarks.wire import Load
from tests.http import address
from tests.hubs import HubProcess
from tests.servers import free_port

Address = tuple[str, int]

_QUESTION = b'{"name":"asked-for"}'
_PATH = "/discovery/services/asked-for"
_BEATING = "/discovery/services/background-0/background-0-0/heartbeat"
_BACKGROUND = 400
_AT_ONCE = 32
_ON_NATS = 8
"""Requests in flight on NATS: enough to keep the hub busy, few enough to see how long each takes."""


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """Throughput, and the latency on NATS."""
    with HubProcess(folder / "hub") as hub:
        async with requesting(hub.nats_url) as (_, requester):
            await register_all(requester, registrations("background", _BACKGROUND))
            await register_all(requester, [registration("asked-for", number) for number in range(3)])
        async with httpx.AsyncClient(base_url=hub.http_url) as http:
            answer = (await http.get(_PATH)).content
        file = folder / "answer.json"
        file.write_bytes(answer)
        bare = "127.0.0.1", free_port()
        with baselines.running("serve", bare[0], str(bare[1]), _PATH, str(file)):
            throughput = await _throughput(address(hub), bare, len(answer), pace, say)
            return [throughput, *await _latency(hub, bare, pace, say)]


async def _throughput(ours: Address, bare: Address, size: int, pace: Pace, say: Say) -> Row:
    browsers = {
        name: [await Browser.connect(*where) for _ in range(_AT_ONCE)]
        for name, where in (("hub", ours), ("bare", bare))
    }
    message = request("GET", _PATH)
    rates = await in_turn(
        f"GET {_PATH}, {_AT_ONCE} connections",
        pace,
        {name: partial(rate, several, message, pace.seconds) for name, several in browsers.items()},
        say,
    )
    for browser in (*browsers["hub"], *browsers["bare"]):
        browser.close()
    what = f"discover over HTTP, {_AT_ONCE} connections, {size:,} bytes: throughput / bare starlette route"
    return Row.compared(what, "/s", rates["hub"], rates["bare"], Bar(">=", 0.6))


async def _latency(hub: HubProcess, bare: Address, pace: Pace, say: Say) -> list[Row]:
    """With the crowd at the hub, with the same crowd on the same machine at the bare server, and without it."""
    load = await Load.connect(hub.nats_url)
    medians: dict[str, list[float]] = {"here": [], "elsewhere": [], "alone": []}

    async def asked(name: str) -> float:
        await load.keep_asking("hub.discover", _QUESTION, in_flight=_ON_NATS, seconds=pace.seconds)
        medians[name].append(median(load.latencies) * 1e6)
        return quantile(load.latencies, 0.99) * 1e6

    async def beside(name: str, where: Address) -> float:
        with crowd.running(*where, pace.connections, pace.watchers, _PATH, _BEATING):
            return await asked(name)

    crowded = f"{pace.connections:,} HTTP connections and {pace.watchers} watchers"
    what = f"hub.discover, {_ON_NATS} in flight, beside {crowded}"
    works = {
        "here": lambda: beside("here", address(hub)),
        "elsewhere": lambda: beside("elsewhere", bare),
        "alone": lambda: asked("alone"),
    }
    figures = await in_turn(f"{what}, p99 in µs", pace, works, say)
    load.close()
    return [
        Row.compared(f"{what}: p99 / alone", "µs", figures["here"], figures["alone"], Bar("<=", 2.0)),
        Row.compared(f"{what}: p99 / with these at a bare server", "µs", figures["here"], figures["elsewhere"]),
        Row.compared(f"{what}: p50 / alone", "µs", medians["here"], medians["alone"]),
    ]
