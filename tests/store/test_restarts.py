"""The store's background tasks under supervision: what they hold outlives their death."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from hub.errors import DeadlineExceeded
from hub.handlers.supervisor import Supervisor
from hub.store.events import EventLog
from hub.store.jetstream import JetStreamBucket
from hub.store.lease import LeaderLease
from hub.store.streams import EVENTS, BucketSpec, ensure
from hub.store.watcher import RESTARTED
from hub.transport.requests import Requester
from tests.killing import kill_task
from tests.servers import NatsServer
from tests.store.stores import BRISK, Recorder, agreement, open_store
from tests.store.test_events import _event, _stored
from tests.waiting import until


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with Supervisor() as running:
        yield running


async def killed(supervisor: Supervisor, name: str) -> None:
    """Kill a task, and return when it runs again."""
    before = supervisor.restarts[name]
    kill_task(name)
    await until(lambda: supervisor.restarts[name] == before + 1, f"{name} is started again")


async def test_an_event_log_that_dies_loses_no_event_and_doubles_none(
    nats_server: NatsServer, spec: BucketSpec, supervisor: Supervisor
) -> None:
    async with open_store(nats_server.url, spec) as store:
        await ensure(store.requester, EVENTS)
        async with EventLog(store.client, store.requester, keep=supervisor.keep) as log:
            events = [_event(number) for number in range(900)]
            for start in range(0, 900, 300):
                for event in events[start : start + 300]:
                    log.append(event)
                await asyncio.sleep(0.02)  # some are under way now, without an answer yet
                await killed(supervisor, "event-log")
            await until(lambda: log.waiting == 0)
            assert await _stored(store) == [event.id for event in events]
            assert log.dropped == 0


async def test_a_lease_whose_task_dies_goes_on_in_its_term(
    nats_server: NatsServer, spec: BucketSpec, supervisor: Supervisor
) -> None:
    told: list[str] = []
    async with open_store(nats_server.url, spec) as store:
        await ensure(store.requester, spec)
        lease = LeaderLease(
            store.bucket,
            "me",
            2.0,
            on_gained=lambda: told.append("gained"),
            on_lost=lambda: told.append("lost"),
            keep=supervisor.keep,
        )
        async with lease:
            await until(lambda: lease.held)
            term = lease.revision
            await killed(supervisor, "leader-lease")
            began = time.monotonic()
            while time.monotonic() - began < 3:  # longer than the lease outlives a holder that does not renew it
                assert lease.revision == term
                await asyncio.sleep(0.05)
            assert told == ["gained"]
        assert told == ["gained", "lost"]
        entry = await store.bucket.get("leader")
        assert entry is not None
        assert entry.value is None, "it was given back"


async def test_a_lease_that_runs_out_while_its_task_is_dead_is_told_as_lost_and_taken_again(
    nats_server: NatsServer, spec: BucketSpec, supervisor: Supervisor
) -> None:
    told: list[str] = []
    async with open_store(nats_server.url, spec) as store:
        await ensure(store.requester, spec)
        ahead = 0.0
        lease = LeaderLease(
            store.bucket,
            "me",
            2.0,
            clock=lambda: time.monotonic() + ahead,
            on_gained=lambda: told.append("gained"),
            on_lost=lambda: told.append("lost"),
            keep=supervisor.keep,
        )
        async with lease:
            await until(lambda: lease.held)
            kill_task("leader-lease")
            ahead = 10.0  # to the lease, that much time passes until it is started again
            assert not lease.held
            await until(lambda: told == ["gained", "lost", "gained"], f"{told}")
            assert lease.held


async def test_a_watch_that_dies_says_so_and_reads_what_it_missed(
    nats_server: NatsServer, spec: BucketSpec, supervisor: Supervisor
) -> None:
    async with open_store(nats_server.url, spec) as store:
        await ensure(store.requester, spec)
        bucket = JetStreamBucket(store.client, store.requester, spec, pace=BRISK, keep=supervisor.keep)
        recorder = Recorder()
        for number in range(5):
            await bucket.put(f"engine.{number}", b"old")
        async with bucket.watch(recorder) as watch:
            kill_task(f"watch-{spec.name}")
            await bucket.delete("engine.0")
            await bucket.put("engine.1", b"new")
            await until(lambda: watch.rereads[RESTARTED] == 1)
            await agreement(watch, recorder, store)
            assert recorder.lost == [RESTARTED]
            await bucket.put("engine.9", b"later")
            await agreement(watch, recorder, store)
            assert watch.lag == 0
            assert watch.silence < 5


async def test_requests_end_in_time_although_the_sweeper_died(nats_server: NatsServer, supervisor: Supervisor) -> None:
    async with open_store(nats_server.url, BucketSpec("unused")) as store:
        async with Requester(store.client, keep=supervisor.keep, name="sweeper") as requester:
            unheard = await store.client.subscribe("nobody.answers")
            kill_task("sweeper")
            with pytest.raises(DeadlineExceeded):
                await asyncio.wait_for(requester.request("nobody.answers", timeout=0.2), 20)
            await unheard.unsubscribe()
        assert supervisor.restarts["sweeper"] == 1


async def test_a_watch_knows_how_far_it_is_behind_and_how_long_it_has_heard_nothing(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    async with open_store(nats_server.url, spec) as store:
        await ensure(store.requester, spec)
        async with store.bucket.watch(Recorder()) as watch:
            assert watch.silence < 5
            nats_server.pause()
            await until(lambda: watch.silence > 1, "nothing is heard of a frozen server")
            nats_server.resume()
            await until(lambda: watch.silence < 0.5, "it is heard again")
