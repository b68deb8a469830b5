from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from hub.errors import Unavailable
from hub.store.lease import KEY, LeaderLease
from hub.store.memory import MemoryBucket
from hub.store.ports import Bucket, RevisionConflict
from hub.store.streams import BucketSpec, ensure
from tests.servers import NatsServer
from tests.store.stores import Store, open_store
from tests.waiting import PATIENCE, until


@dataclass(slots=True)
class Told:
    """What a lease told its owner."""

    gained: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)


def _lease(bucket: Bucket, holder: str, told: Told, ttl: float = 1.0) -> LeaderLease:
    return LeaderLease(
        bucket,
        holder,
        ttl,
        on_gained=lambda: told.gained.append(time.monotonic()),
        on_lost=lambda: told.lost.append(time.monotonic()),
    )


async def test_the_first_who_asks_leads_and_keeps_leading(bucket: Bucket) -> None:
    told = Told()
    async with _lease(bucket, "one", told) as lease:
        await until(lambda: lease.held)
        term = lease.revision
        assert term > 0
        assert lease.leader == "one"
        entry = await bucket.get(KEY)
        assert entry is not None
        before = entry.revision
        async with asyncio.timeout(PATIENCE):
            while entry.revision < before + 6:  # two ttls of renewals
                await asyncio.sleep(0.05)
                entry = await bucket.get(KEY)
                assert entry is not None
        assert lease.held
        assert lease.revision == term, "a renewal must not change the fencing token"
        assert (len(told.gained), len(told.lost)) == (1, 0)


async def test_only_one_of_many_leads_and_the_next_takes_over_at_once_when_it_leaves(bucket: Bucket) -> None:
    told = [Told() for _ in range(4)]
    leases = [_lease(bucket, f"hub-{n}", t, ttl=30.0) for n, t in enumerate(told)]
    for lease in leases:
        await lease.__aenter__()
    terms: list[int] = []
    while leases:
        await until(lambda: any(lease.held for lease in leases), within=10.0)  # far less than the ttl
        leading = [lease for lease in leases if lease.held]
        assert len(leading) == 1
        terms.append(leading[0].revision)
        await leading[0].aclose()
        assert not leading[0].held
        leases.remove(leading[0])
    assert terms == sorted(set(terms)), "every term has a greater fencing token than the one before"
    assert [(len(t.gained), len(t.lost)) for t in told] == [(1, 1)] * 4


async def test_who_waits_learns_who_leads(bucket: Bucket) -> None:
    async with _lease(bucket, "one", Told()) as one:
        await until(lambda: one.held)
        async with _lease(bucket, "two", Told()) as two:
            await until(lambda: two.leader == "one")
            assert not two.held
            assert two.revision == 0


async def test_a_leader_cut_off_from_the_store_steps_down_by_its_own_clock() -> None:
    bucket, told = MemoryBucket(), Told()
    async with _lease(bucket, "one", told) as lease:
        await until(lambda: lease.held)
        bucket.outage = Unavailable("away")
        await until(lambda: told.lost)
        assert not lease.held
        assert lease.revision == 0
        bucket.outage = None
        await until(lambda: lease.held)
        assert len(told.gained) == 2


async def test_a_lease_that_another_took_is_lost_at_once(bucket: Bucket) -> None:
    told = Told()
    async with _lease(bucket, "one", told, ttl=3.0) as lease:
        await until(lambda: lease.held)
        await bucket.put(KEY, b"another's")
        await until(lambda: told.lost)
        assert not lease.held


async def test_a_renewal_whose_answer_was_lost_costs_no_term(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, told = MemoryBucket(), Told()
    write = bucket.put
    silent = 0

    async def put(key: str, value: bytes, *, expected: int | None = None, ttl: int | None = None) -> int:
        nonlocal silent
        revision = await write(key, value, expected=expected, ttl=ttl)
        if told.gained and silent < 1:
            silent += 1
            raise Unavailable("the answer was lost")
        return revision

    monkeypatch.setattr(bucket, "put", put)
    async with _lease(bucket, "one", told) as lease:
        await until(lambda: silent and bucket.revision >= 6)
        assert lease.held
        assert (len(told.gained), len(told.lost)) == (1, 0)


@pytest.mark.parametrize("ttl", [0, 0.5, 1.5, -1])
async def test_a_ttl_that_the_store_cannot_keep_is_refused(ttl: float) -> None:
    with pytest.raises(ValueError, match="ttl"):
        LeaderLease(MemoryBucket(), "one", ttl)


@asynccontextmanager
async def _holder(
    store: Store, server: NatsServer, ttl: float = 2.0
) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[str]]]:
    """A holder in a process of its own, and the lines it has printed so far."""
    await ensure(store.requester, store.spec)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.holder", server.url, store.spec.name, "other", str(ttl), stdout=-1
    )
    lines: list[str] = []

    async def read() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            lines.append(line.decode().strip())

    reading = asyncio.create_task(read())
    try:
        yield process, lines
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def test_a_killed_leader_is_followed_within_its_ttl_and_a_little(
    shared_nats: NatsServer, spec: BucketSpec
) -> None:
    async with open_store(shared_nats.url, spec) as store, _holder(store, shared_nats) as (other, lines):
        await until(lambda: lines, "the other process leads")
        told = Told()
        async with _lease(store.bucket, "me", told, ttl=2.0) as lease:
            await until(lambda: lease.leader == "other")
            other.kill()
            died = time.monotonic()
            await until(lambda: lease.held)
            assert told.gained[0] - died < 2.0 + 5.0, "ttl, marker, one look; generous on a busy machine"
            assert lease.revision > int(lines[0].split()[1])


async def test_a_stopped_leader_does_not_lead_when_it_wakes_and_its_renewal_is_rejected(
    shared_nats: NatsServer, spec: BucketSpec
) -> None:
    async with open_store(shared_nats.url, spec) as store, _holder(store, shared_nats) as (other, lines):
        await until(lambda: lines, "the other process leads")
        told = Told()
        async with _lease(store.bucket, "me", told, ttl=2.0) as lease:
            await until(lambda: lease.leader == "other")
            last = await store.bucket.get(KEY)
            assert last is not None
            other.send_signal(signal.SIGSTOP)
            await until(lambda: lease.held)
            term = lease.revision
            with pytest.raises(RevisionConflict):
                await store.bucket.put(KEY, b"zombie", expected=last.revision, ttl=2)
            other.send_signal(signal.SIGCONT)
            await until(lambda: "woke free" in lines)
            assert not any(line.startswith("woke held") for line in lines)
            assert lease.held
            assert lease.revision == term
            assert not told.lost
            assert [line.split()[0] for line in lines if not line.startswith("woke")] == ["held", "free"]
