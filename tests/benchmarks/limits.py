"""`hub.discover` of those who keep to their limits, while somebody else asks fifty times as often as it may."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from urllib.parse import quote

from hub.settings.model import Ratelimits
from tests.accounts import PASSWORD, ProvingServer
from tests.benchmarks import flooding
from tests.benchmarks.fleet import ask, register_all, registration, requesting
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, in_turn, quantile
from tests.benchmarks.wire import Load

_TIMES = 50
"""As often as it may."""
_SHARE = 0.8
"""Of their limit, that is how often the others ask."""
_REGISTRAR, _FLOODER, *_OTHERS = "operator:bench", "service:flooder", *(f"service:other-{n}" for n in range(4))


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """The slowest of a hundred requests and the middle one, with the flood and without."""
    with (
        ProvingServer(folder / "nats", (_REGISTRAR, _FLOODER, *_OTHERS)) as server,
        flooding.running("serve", server.url, str(server.keys)),
    ):
        async with requesting(server.url) as (_, requester):
            await register_all(requester, [registration("asked-for", number) for number in range(3)])
            await ask(requester, "hub.discover", flooding.QUESTION)
        return await _compare(server, pace, say)


async def _compare(server: ProvingServer, pace: Pace, say: Say) -> list[Row]:
    limit = Ratelimits().discover_rate
    loads = [await Load.connect(_url(server, caller)) for caller in _OTHERS]
    medians: dict[str, list[float]] = {"flooded": [], "alone": []}

    async def asked(name: str) -> float:
        latencies: list[float] = []
        for load in loads:
            await load.ask_at("hub.discover", flooding.QUESTION, rate=limit * _SHARE, seconds=pace.seconds / len(loads))
            latencies += load.latencies
        medians[name].append(median(latencies) * 1e6)
        return quantile(latencies, 0.99) * 1e6

    async def flooded() -> float:
        with flooding.running("flood", _url(server, _FLOODER), f"{limit * _TIMES}") as said:
            found = await asked("flooded")
        sent, answered = said
        assert answered > 0, "the flood was not answered"
        say(f"flood: {sent:,} requests were sent, {answered:,} were answered or refused")
        return found

    what = f"hub.discover, {limit * _SHARE:g} requests/s, beside a flood of {_TIMES} times the limit by another caller"
    figures = await in_turn(f"{what}, p99 in µs", pace, {"flooded": flooded, "alone": lambda: asked("alone")}, say)
    for load in loads:
        load.close()
    return [
        Row.compared(f"{what}: p99 / without", "µs", figures["flooded"], figures["alone"], Bar("<=", 2.0)),
        Row.compared(f"{what}: p50 / without", "µs", medians["flooded"], medians["alone"]),
    ]


def _url(server: ProvingServer, caller: str) -> str:
    return f"nats://{quote(caller, safe='')}:{PASSWORD}@127.0.0.1:{server.port}"
