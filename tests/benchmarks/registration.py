"""`hub.register` of new instances beside bare writes of the same records into a KV bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from nats.aio.client import Client
from nats.js.kv import KeyValue

from hub.transport.requests import Requester
from tests.benchmarks.fleet import IN_FLIGHT, all_in_flight, ask, registrations, requesting
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, in_turn
from tests.benchmarks.wire import PATIENCE
from tests.hubs import HubProcess

T = TypeVar("T")

_BUCKET = "bench"
_SETTLE = 0.5
"""Seconds in which the hub writes its events and reports of one round, before the next thing is measured."""


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """Throughput, all of it from one client process: as it comes, and where nobody waits for the disk."""
    rows = await _compare(HubProcess(folder / "hub"), "", Bar(">=", 0.7), pace, say)
    quick = HubProcess(folder / "quick", variables={"HUB_NATS_SYNC": "interval"})
    rows += await _compare(quick, ", nats.sync = interval", None, pace, say)
    return [*rows, await _with_and_without_audit(folder, pace, say)]


async def _with_and_without_audit(folder: Path, pace: Pace, say: Say) -> Row:
    """What it costs that every registration has an entry in the audit; two hubs, in turn."""
    with (
        HubProcess(folder / "audited") as audited,
        HubProcess(folder / "silent", variables={"HUB_AUDIT_ENABLED": "false"}) as silent,
    ):
        async with requesting(audited.nats_url) as (_, one), requesting(silent.nats_url) as (_, other):
            rounds = count()

            async def register(requester: Requester) -> float:
                messages = registrations(f"r{next(rounds)}", pace.registrations)
                rate = await _timed(partial(ask, requester, "hub.register"), messages)
                await asyncio.sleep(_SETTLE)
                return rate

            what = f"hub.register, {IN_FLIGHT} in flight: throughput with the audit / without"
            figures = await in_turn(
                what, pace, {"with": partial(register, one), "without": partial(register, other)}, say
            )
    return Row.compared(what, "/s", figures["with"], figures["without"])


async def _compare(process: HubProcess, how: str, bar: Bar | None, pace: Pace, say: Say) -> list[Row]:
    with process as hub:
        async with requesting(hub.nats_url) as (client, requester):
            bucket = await client.jetstream().create_key_value(bucket=_BUCKET, direct=True)
            sample = await _stored_record(client, requester)
            works = _Works(requester, bucket, sample, pace.registrations)
            figures = await in_turn(
                f"hub.register, {IN_FLIGHT} in flight{how}",
                pace,
                {"hub": works.register, "kv.put": works.put, "lean put": works.put_lean},
                say,
            )
    what = f"hub.register, {IN_FLIGHT} in flight, {len(sample):,} bytes stored{how}"
    return [
        Row.compared(f"{what}: throughput / nats-py kv.put", "/s", figures["hub"], figures["kv.put"], bar),
        Row.compared(f"{what}: throughput / puts by our requester", "/s", figures["hub"], figures["lean put"]),
    ]


async def _stored_record(client: Client, requester: Requester) -> bytes:
    """What the hub stores of one registration."""
    await ask(requester, "hub.register", registrations("sample", 1)[0])
    registry = await client.jetstream().key_value("hub-registry")
    return (await registry.get("sample-0.sample-0-0")).value or b""


class _Works:
    """One round of each kind: the same number of writes, each under a key of its own."""

    def __init__(self, requester: Requester, bucket: KeyValue, record: bytes, amount: int) -> None:
        self._requester = requester
        self._bucket = bucket
        self._record = record
        self._amount = amount
        self._rounds = count()

    async def register(self) -> float:
        """Through the hub."""
        messages = registrations(f"r{next(self._rounds)}", self._amount)
        rate = await _timed(partial(ask, self._requester, "hub.register"), messages)
        await asyncio.sleep(_SETTLE)
        return rate

    async def put(self) -> float:
        """By the library's own KV client."""
        return await _timed(self._put, self._keys())

    async def put_lean(self) -> float:
        """By the requests that the hub itself uses."""
        return await _timed(self._put_lean, self._keys())

    async def _put(self, key: str) -> None:
        await self._bucket.put(key, self._record)

    async def _put_lean(self, key: str) -> None:
        reply = await self._requester.request(f"$KV.{_BUCKET}.{key}", self._record, timeout=PATIENCE)
        assert b'"seq"' in reply.data, reply.data

    def _keys(self) -> list[str]:
        this = next(self._rounds)
        return [f"service-{this}.instance-{number}" for number in range(self._amount)]


async def _timed(work: Callable[[T], Awaitable[object]], items: Sequence[T]) -> float:
    """Do it with each item; returns how many a second."""
    began = perf_counter()
    await all_in_flight(work, items)
    return len(items) / (perf_counter() - began)
