"""How long a client that holds an instance in its cache goes on choosing it after its process was killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

from hub.client import CentralHubClient
from tests.benchmarks.fleet import ask, registration, requesting
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, quantile
from tests.benchmarks.wire import PATIENCE
from tests.hubs import HubProcess
from tests.instance import InstanceProcess
from tests.servers import NatsServer

_SERVICE = "doomed"
_TTL = 2.0
_STARTED_AT_ONCE = 4
_APART = 0.23
"""Seconds between two kills; no multiple of the heartbeat interval, so that they come at any time of it."""


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """With the events of the system account, and without."""
    with HubProcess(folder / "told") as hub:
        told = await _kill_all(hub.nats_url, "with $SYS events", pace, say, one_by_one=True)
    with NatsServer(folder / "nats") as server, HubProcess(folder / "untold", nats_url=server.url):
        untold = await _kill_all(server.url, "without $SYS events", pace, say, one_by_one=False)
    what = "SIGKILL until a cached client picks another"
    bare = f"{what}, without $SYS events, ttl {_TTL:g} s"
    return [
        Row(name=f"{what}: p50", unit="ms", ours=median(told)),
        Row(
            name=f"{what}: p99 of {len(told)}",
            unit="ms",
            ours=quantile(told, 0.99),
            bar=Bar("<=", 50, of="figure"),
            rounds={"ours": told},
        ),
        Row(name=f"{bare}: p50", unit="ms", ours=median(untold)),
        Row(
            name=f"{bare}: p99 of {len(untold)}",
            unit="ms",
            ours=quantile(untold, 0.99),
            bar=Bar("<=", _TTL * 1.1 * 1000, of="figure"),
            rounds={"ours": untold},
        ),
    ]


async def _kill_all(url: str, what: str, pace: Pace, say: Say, *, one_by_one: bool) -> list[float]:
    """Kill instance after instance; returns the milliseconds that each was still chosen."""
    say(f"SIGKILL, {what}: starting {pace.kills} instances")
    async with requesting(url) as (_, requester):
        await ask(requester, "hub.register", registration(_SERVICE, 0))
    async with _instances(url, pace.kills) as victims, CentralHubClient("bench", nats_url=url) as client:
        while len(await client.discover_all(_SERVICE)) < pace.kills + 1:  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)
        ends: list[asyncio.Task[float]] = []
        async with asyncio.TaskGroup() as group:
            for number, victim in enumerate(victims):
                ends.append(group.create_task(_kill(client, f"victim-{number}", victim)))
                await asyncio.sleep(_APART)
                if one_by_one:
                    await ends[-1]
        times = [end.result() for end in ends]
    say(f"SIGKILL, {what}: {len(times)} kills, p50 {median(times):,.1f} ms, longest {max(times):,.1f} ms")
    return times


async def _kill(client: CentralHubClient, instance_id: str, victim: InstanceProcess) -> float:
    began = perf_counter()
    victim.kill()
    while instance_id in {instance.instance_id for instance in await client.discover_all(_SERVICE)}:
        assert perf_counter() - began < PATIENCE, f"{instance_id} is still chosen"
        await asyncio.sleep(0.0005)
    return (perf_counter() - began) * 1000


@asynccontextmanager
async def _instances(url: str, amount: int) -> AsyncIterator[list[InstanceProcess]]:
    """So many processes of the service, registered."""
    limit = asyncio.Semaphore(_STARTED_AT_ONCE)
    victims = [
        InstanceProcess(url, _SERVICE, f"victim-{number}", port=number + 2, ttl=_TTL) for number in range(amount)
    ]

    async def start(victim: InstanceProcess) -> None:
        async with limit:
            await asyncio.to_thread(victim.__enter__)

    with ExitStack() as stack:
        for victim in victims:
            stack.callback(victim.kill)
        await asyncio.gather(*(start(victim) for victim in victims))
        yield victims
