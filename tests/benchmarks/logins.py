"""Coming in by an nkey that a hub is asked about, and by one that the server knows itself."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from time import perf_counter

import nats

from hub.identity.nkey import Nkey
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, in_turn
from tests.hubs import HubProcess


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """Milliseconds, the median of each round."""
    with HubProcess(folder / "hub", arguments=("--secure",)) as hub:
        keys = hub.data_dir / "access"
        asked, known = (Nkey((keys / name).read_text().strip()) for name in ("operator.nk", "hub.nk"))
        works = {
            "hub": lambda: _logins(hub.nats_url, asked, pace.logins),
            "static": lambda: _logins(hub.nats_url, known, pace.logins),
        }
        figures = await in_turn("logins, ms", pace, works, say)
    name = "NATS login that a hub is asked about, one after another: p50 / one that the server knows itself"
    return [Row.compared(name, "ms", figures["hub"], figures["static"], Bar("<=", 5.0))]


async def _logins(url: str, key: Nkey, count: int) -> float:
    took: list[float] = []
    for _ in range(count):
        began = perf_counter()
        client = await nats.connect(url, nkeys_seed_str=key.seed, allow_reconnect=False)
        took.append(perf_counter() - began)
        await client.close()
    return median(took) * 1000
