"""From a put until the last of many clients has said that it runs with it, beside a bare fan-out to as many."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from statistics import median
from time import perf_counter

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client.rereading import SETTLING
from tests.benchmarks.followers import following
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, quantile
from tests.benchmarks.wire import PATIENCE
from tests.hubs import HubProcess

_PROCESSES = 4
_SERVICE = "followed"
_SUBJECT = "bench.follow"
_ACKNOWLEDGE = "bench.acknowledge"


class _Messages:
    """Counts bare acknowledgements."""

    def __init__(self) -> None:
        self._left = 0
        self._done = asyncio.Event()

    def begin(self, wanted: int) -> None:
        """Count anew."""
        self._left = wanted
        self._done.clear()

    async def on_message(self, message: Msg) -> None:
        """One more."""
        self._left -= 1
        if self._left == 0:
            self._done.set()

    async def all(self) -> None:
        """Return when as many have come as were wanted."""
        await asyncio.wait_for(self._done.wait(), PATIENCE)


class _Beats:
    """Knows what each client runs with, by its beats: some acknowledge before the put itself is answered."""

    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._wanted = 0
        self._left = 0
        self._done = asyncio.Event()

    async def on_beat(self, message: Msg) -> None:
        """One client has said what it runs with."""
        _, found, rest = message.data.partition(b'"config_revision":')
        if not found:
            return
        revision = int(rest.partition(b",")[0].rstrip(b"}"))
        if self._running.get(message.subject) != revision:
            self._running[message.subject] = revision
            self._left -= revision == self._wanted
            if self._left == 0:
                self._done.set()

    async def all(self, many: int, revision: int) -> None:
        """Return when as many run with this revision."""
        self._wanted = revision
        self._left = many - sum(running == revision for running in self._running.values())
        self._done.clear()
        if self._left:
            await asyncio.wait_for(self._done.wait(), PATIENCE)


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """Seconds to the last acknowledgement: of a put, and of a message of the same bytes to bare connections."""
    many = pace.connections
    with HubProcess(folder) as hub:
        client = await nats.connect(hub.nats_url)
        try:
            ours, record = await _ours(client, hub.nats_url, many, pace, say)
            bare = await _bare(client, hub.nats_url, many, record, pace, say)
        finally:
            await client.close()
    name = f"hub.config.put until the last of {many:,} clients has acknowledged"
    shares = ((0.5, None), (0.99, Bar("<=", 2.0)))
    return [
        Row(
            name=f"{name}: p{share * 100:g} / bare fan-out with acknowledgements",
            unit="ms",
            ours=quantile(ours, share),
            baseline=quantile(bare, share),
            ratio=quantile(ours, share) / quantile(bare, share),
            bar=bar,
            rounds={"ours": ours, "baseline": bare},
        )
        for share, bar in shares
    ]


async def _ours(client: Client, url: str, many: int, pace: Pace, say: Say) -> tuple[list[float], bytes]:
    """Milliseconds of each put, and a record as it was pushed.

    All of the clients have started within the same second, and so all make their second reading at the same time. That
    is waited for: what is measured is a change among clients that are there, not their arrival.
    """
    records: list[bytes] = []

    async def keep(message: Msg) -> None:
        records[:] = [message.data]

    beats = _Beats()
    await client.subscribe(f"hub.heartbeat.{_SERVICE}.*", cb=beats.on_beat)
    await client.subscribe(f"hub.delta.config.{_SERVICE}", cb=keep)
    await client.flush()
    each = many // _PROCESSES
    commands = [("sdk", url, _SERVICE, str(number * each), str(each)) for number in range(_PROCESSES)]
    with following(*commands):
        await asyncio.sleep(1.5 * SETTLING)
        say(f"rollout: {each * _PROCESSES:,} clients follow their configuration")
        figures: list[float] = []
        for number in range(pace.rollouts):
            change = {"service": _SERVICE, "values": {"n": number, "padding": "x" * 512}}
            began = perf_counter()
            message = json.dumps({"changes": [change]}).encode()
            reply = json.loads((await client.request("hub.config.put", message, timeout=PATIENCE)).data)
            await beats.all(each * _PROCESSES, reply["revision"])
            figures.append((perf_counter() - began) * 1000)
        say(f"rollout: {pace.rollouts} puts, p50 {median(figures):.1f} ms")
    return figures, records[0]


async def _bare(client: Client, url: str, many: int, record: bytes, pace: Pace, say: Say) -> list[float]:
    """Milliseconds of each message."""
    count = _Messages()
    await client.subscribe(_ACKNOWLEDGE, cb=count.on_message)
    await client.flush()
    each = many // _PROCESSES
    with following(*[("raw", url, _SUBJECT, _ACKNOWLEDGE, str(each))] * _PROCESSES):
        figures: list[float] = []
        for _ in range(pace.rollouts):
            count.begin(each * _PROCESSES)
            began = perf_counter()
            await client.publish(_SUBJECT, record)
            await count.all()
            figures.append((perf_counter() - began) * 1000)
        say(f"rollout: {pace.rollouts} bare messages, p50 {median(figures):.1f} ms")
    return figures
