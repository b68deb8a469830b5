"""`client.discover` from the SDK's cache beside one round trip to the hub after the other."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from hub.client import CentralHubClient
from hub.transport.requests import Requester
from tests.benchmarks.fleet import ask, register_all, registration, requesting
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, in_turn
from tests.hubs import HubProcess

_CALLS_BETWEEN_LOOKS = 1000


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """Calls per second, one at a time."""
    with HubProcess(folder / "hub") as hub:
        async with requesting(hub.nats_url) as (_, requester):
            await register_all(requester, [registration("asked-for", number) for number in range(3)])
            async with CentralHubClient("bench", nats_url=hub.nats_url) as client:
                await client.discover("asked-for")
                figures = await in_turn(
                    "client.discover",
                    pace,
                    {
                        "cached": lambda: _cached(client, pace.seconds),
                        "round trips": lambda: _round_trips(requester, pace.seconds),
                    },
                    say,
                )
    name = "client.discover, cached / hub.discover round trips"
    return [Row.compared(name, "/s", figures["cached"], figures["round trips"], Bar(">=", 500))]


async def _cached(client: CentralHubClient, seconds: float) -> float:
    calls = 0
    began = perf_counter()
    while (took := perf_counter() - began) < seconds:
        for _ in range(_CALLS_BETWEEN_LOOKS):
            await client.discover("asked-for")
        calls += _CALLS_BETWEEN_LOOKS
    return calls / took


async def _round_trips(requester: Requester, seconds: float) -> float:
    calls = 0
    began = perf_counter()
    while (took := perf_counter() - began) < seconds:
        await ask(requester, "hub.discover", b'{"name":"asked-for"}')
        calls += 1
    return calls / took
