"""`hub.discover` on a hub that makes 5,000 checks every 10 s, beside one that makes none."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple
from urllib.request import urlopen

from tests.benchmarks import baselines
from tests.benchmarks.fleet import PER_SERVICE, ask, register_all, registration, requesting
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, in_turn, quantile
from tests.benchmarks.wire import PATIENCE, Load
from tests.hubs import HubProcess
from tests.servers import free_port

_QUESTION = b'{"name":"asked-for"}'
_INTERVAL = 10.0
_TARGETS = 4
_RATE = 1000.0
"""Requests a second, however long each takes: about a twentieth of what a hub can answer."""
_IN_FLIGHT = 16
_SETTLE = 1.0
"""Seconds that a hub is given after it was frozen."""


class _Counted(NamedTuple):
    """What a hub has counted so far: probes that went well, others, those left out, and processor seconds."""

    well: float
    others: float
    skipped: float
    cpu: float
    at: float


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """The slowest of a hundred requests, at a modest rate and with some in flight, and what the probes cost."""
    ports = [free_port() for _ in range(_TARGETS)]
    with ExitStack() as stack:
        stack.enter_context(baselines.running("be_well", *map(str, ports)))
        idle = stack.enter_context(HubProcess(folder / "idle"))
        probing = stack.enter_context(HubProcess(folder / "probing"))
        for hub, probed in ((idle, False), (probing, True)):
            async with requesting(hub.nats_url) as (_, requester):
                await register_all(requester, _population(pace.checks, ports if probed else []))
                await register_all(requester, [registration("asked-for", number) for number in range(3)])
                await ask(requester, "hub.discover", _QUESTION)
        await _all_known(probing, pace.checks)
        say(f"probes: all {pace.checks:,} checks are known to pass")
        rows = await _compare(idle, probing, ports, pace, say)
        return [*rows, *await _costs(idle, probing, pace)]


async def _compare(idle: HubProcess, probing: HubProcess, ports: list[int], pace: Pace, say: Say) -> list[Row]:
    """Beside a hub that makes no checks; and beside one while another process makes as many, as bare as can be."""
    rows = []
    elsewhere = "look_at", str(pace.checks / _INTERVAL), *map(str, ports)
    for what in (f"{_RATE:,.0f} requests/s", f"{_IN_FLIGHT} in flight"):

        async def slowest(hub: HubProcess, other: HubProcess, what: str = what) -> float:
            with _frozen(other):
                await asyncio.sleep(_SETTLE)
                load = await Load.connect(hub.nats_url)
                if "in flight" in what:
                    await load.keep_asking("hub.discover", _QUESTION, in_flight=_IN_FLIGHT, seconds=pace.seconds)
                else:
                    await load.ask_at("hub.discover", _QUESTION, rate=_RATE, seconds=2 * pace.seconds)
                load.close()
            return quantile(load.latencies, 0.99) * 1e6

        async def beside() -> float:
            with baselines.running(*elsewhere):
                return await slowest(idle, probing)

        works = {
            "with checks": lambda: slowest(probing, idle),
            "without": lambda: slowest(idle, probing),
            "with bare ones elsewhere": beside,
        }
        figures = await in_turn(f"hub.discover, {what}, p99 in µs", pace, works, say)
        name = f"hub.discover, {what}: p99 with {pace.checks:,} HTTP checks every {_INTERVAL:g} s"
        with_checks, without, bare = ([us / 1000 for us in figures[key]] for key in works)
        rows.append(Row.compared(f"{name} / with none", "ms", with_checks, without, Bar("<=", 2.0)))
        rows.append(Row.compared(f"{name} / with bare ones in another process", "ms", with_checks, bare))
    return rows


async def _costs(idle: HubProcess, probing: HubProcess, pace: Pace) -> list[Row]:
    """How many probes are made while nobody asks anything, and what one costs beside a hub that makes none."""
    await asyncio.sleep(_SETTLE)
    before = [await asyncio.to_thread(_count, hub) for hub in (idle, probing)]
    await asyncio.sleep(max(2.0, 5 * pace.seconds))
    after = [await asyncio.to_thread(_count, hub) for hub in (idle, probing)]
    seconds = after[1].at - before[1].at
    made = after[1].well + after[1].others - before[1].well - before[1].others
    spent = (after[1].cpu - before[1].cpu) - (after[0].cpu - before[0].cpu)
    assert after[1].others == before[1].others, "every target is well"
    return [
        Row(name=f"probes made, {pace.checks:,} checks every {_INTERVAL:g} s", unit="/s", ours=made / seconds),
        Row(name="processor time of the hub per probe", unit="µs", ours=max(1.0, spent / made * 1e6)),
    ]


def _population(count: int, ports: list[int]) -> list[bytes]:
    """Registrations, with an HTTP check each where there are ports to look at."""
    messages = []
    for number in range(count):
        message = json.loads(registration(f"probed-{number // PER_SERVICE}", number))
        message["liveness"] = "permanent"
        if ports:
            check = {"type": "http", "path": "/health", "interval": _INTERVAL, "timeout": 3.0}
            message |= {"host": "127.0.0.1", "port": ports[number % len(ports)], "checks": [check]}
        messages.append(json.dumps(message).encode())
    return messages


@contextmanager
def _frozen(hub: HubProcess) -> Iterator[None]:
    """The hub does not run meanwhile, so that it takes no processor time from the one that is measured."""
    hub.interrupt(signal.SIGSTOP)
    try:
        yield
    finally:
        hub.interrupt(signal.SIGCONT)


async def _all_known(hub: HubProcess, checks: int) -> None:
    """Return once every check has been made, and some time has passed since."""
    began = perf_counter()
    while (await asyncio.to_thread(_count, hub)).well < checks:
        assert perf_counter() - began < PATIENCE, "not every check was made"
        await asyncio.sleep(0.1)
    await asyncio.sleep(_SETTLE)


def _count(hub: HubProcess) -> _Counted:
    with urlopen(f"{hub.http_url}/metrics", timeout=PATIENCE) as response:
        text = response.read().decode()

    def total(pattern: str) -> float:
        return sum(map(float, re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE)))

    probes = r'hub_probes_total\{outcome="%s",type="http"\}'
    return _Counted(
        well=total(probes % "ok"),
        others=total(probes % "failed") + total(probes % "void"),
        skipped=total("hub_probes_skipped_total"),
        cpu=total("process_cpu_seconds_total"),
        at=perf_counter(),
    )
