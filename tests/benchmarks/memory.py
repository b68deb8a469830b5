"""What the hub's own process holds in RAM, while more and more instances register."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

from tests.benchmarks.fleet import register_all, registrations, requesting
from tests.benchmarks.machine import resident_bytes
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say
from tests.hubs import HubProcess

_MB = 1024 * 1024
_SETTLE = 1.0
"""Seconds after which the hub has written the events of the last registrations."""


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """At several sizes of the fleet; the one before the last is the one with a bar."""
    sizes: dict[int, int] = {}
    with HubProcess(folder / "hub") as hub:
        async with requesting(hub.nats_url) as (_, requester):
            sizes[0] = resident_bytes(hub.pid)
            messages = registrations("kept", pace.populations[-1])
            for before, population in pairwise((0, *pace.populations)):
                await register_all(requester, messages[before:population])
                await asyncio.sleep(_SETTLE)
                sizes[population] = resident_bytes(hub.pid)
                each = (sizes[population] - sizes[before]) / (population - before)
                say(f"memory: {population:,} instances: {sizes[population] / _MB:.1f} MB, {each:,.0f} bytes each")
    return _rows(sizes)


def _rows(sizes: dict[int, int]) -> list[Row]:
    first, *_, middle, last = (population for population in sizes if population)
    rows = [
        Row(
            name=f"hub memory with {population:,} instances",
            unit="MB",
            ours=size / _MB,
            bar=Bar("<=", 128, of="figure") if population == middle else None,
            rounds={"bytes": [float(size)]},
        )
        for population, size in sizes.items()
    ]
    late = max(1.0, (sizes[last] - sizes[middle]) / (last - middle))
    early = max(1.0, (sizes[middle] - sizes[first]) / (middle - first))
    rows.append(
        Row(
            name=f"hub memory, bytes an instance from {middle:,} to {last:,} / from {first:,} to {middle:,}",
            unit="B",
            ours=late,
            baseline=early,
            ratio=late / early,
            bar=Bar("<=", 1.25),
        )
    )
    return rows
