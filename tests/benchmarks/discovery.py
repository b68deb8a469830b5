"""`hub.discover` beside a bare echo of the same bytes, with as much in flight as the answerer can take."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from tests.benchmarks import baselines
from tests.benchmarks.fleet import IN_FLIGHT, ask, register_all, registration, registrations, requesting
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, in_turn
from tests.benchmarks.wire import Load
from tests.hubs import HubProcess

_QUESTION = b'{"name":"asked-for"}'
_ECHO = "bench.echo"
_BACKGROUND = 400


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """Throughput and median latency."""
    with HubProcess(folder / "hub") as hub:
        async with requesting(hub.nats_url) as (_, requester):
            await register_all(requester, registrations("background", _BACKGROUND))
            await register_all(requester, [registration("asked-for", number) for number in range(3)])
            answer = await ask(requester, "hub.discover", _QUESTION)
        file = folder / "answer.json"
        file.write_bytes(answer)
        with baselines.running("echo", hub.nats_url, _ECHO, str(file)):
            return await _compare(hub.nats_url, len(answer), pace, say)


async def _compare(url: str, size: int, pace: Pace, say: Say) -> list[Row]:
    load = await Load.connect(url)
    medians: dict[str, list[float]] = {"hub": [], "echo": []}

    async def asked(name: str, subject: str) -> float:
        rate = await load.keep_asking(subject, _QUESTION, in_flight=IN_FLIGHT, seconds=pace.seconds)
        medians[name].append(median(load.latencies) * 1000)
        return rate

    rates = await in_turn(
        f"hub.discover, {IN_FLIGHT} in flight",
        pace,
        {"hub": lambda: asked("hub", "hub.discover"), "echo": lambda: asked("echo", _ECHO)},
        say,
    )
    load.close()
    what = f"hub.discover, {IN_FLIGHT} in flight, {size:,} bytes"
    return [
        Row.compared(f"{what}: throughput / bare echo", "/s", rates["hub"], rates["echo"], Bar(">=", 0.8)),
        Row.compared(f"{what}: p50 / bare echo", "ms", medians["hub"], medians["echo"], Bar("<=", 1.3)),
    ]
