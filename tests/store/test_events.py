from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg

from hub.errors import DeadlineExceeded
from hub.store.events import EventLog
from hub.store.streams import EVENTS, BucketSpec, ensure
from hub.transport.requests import Requester
from hub.wire.event import CloudEvent
from tests.proxy import Proxy
from tests.servers import NatsServer
from tests.store.stores import Store, open_store
from tests.waiting import until


def _event(number: int, data: dict[str, Any] | None = None) -> CloudEvent:
    return CloudEvent(
        id=f"{number}-{uuid.uuid4().hex}",
        type="service.registered",
        source="hub",
        subject="engine.a1",
        time=datetime.now(UTC),
        data=data or {"number": number},
    )


@asynccontextmanager
async def _log(
    url: str, spec: BucketSpec, *, capacity: int = 10_000, timeout: float = 2.0
) -> AsyncIterator[tuple[Store, EventLog]]:
    async with open_store(url, spec) as store:
        await ensure(store.requester, EVENTS)
        async with EventLog(store.client, store.requester, capacity=capacity, timeout=timeout) as log:
            yield store, log


async def _stored(store: Store) -> list[str]:
    """The ids of all events in the stream, in order."""
    info = await store.api(f"STREAM.INFO.{EVENTS.stream}")
    state = info["state"]
    assert isinstance(state, dict)
    ids: list[str] = []
    for sequence in range(state["first_seq"], state["last_seq"] + 1):
        body = b'{"seq":%d}' % sequence
        reply = await store.requester.request(f"$JS.API.DIRECT.GET.{EVENTS.stream}", body)
        ids.append(msgspec.json.decode(reply.data, type=CloudEvent).id)
    return ids


async def test_events_are_stored_in_order_each_once(nats_server: NatsServer, spec: BucketSpec) -> None:
    async with _log(nats_server.url, spec) as (store, log):
        events = [_event(n) for n in range(1000)]
        for event in events:
            log.append(event)
        await until(lambda: log.waiting == 0)
        assert await _stored(store) == [event.id for event in events]
        assert (log.written, log.dropped) == (1000, 0)


async def test_what_was_told_since_a_time_can_be_asked(nats_server: NatsServer, spec: BucketSpec) -> None:
    async with _log(nats_server.url, spec) as (_, log):
        before = [_event(number) for number in range(3)]
        for event in before:
            log.append(event)
        await until(lambda: log.waiting == 0)
        await asyncio.sleep(0.05)
        since = datetime.now(UTC)
        await asyncio.sleep(0.05)
        assert await log.told_since("service.registered", since) == set()
        after = [_event(number) for number in range(3)]
        other = msgspec.structs.replace(_event(9), type="config.applied")
        for event in [*after, other]:
            log.append(event)
        await until(lambda: log.waiting == 0)
        assert await log.told_since("service.registered", since) == {event.id for event in after}
        assert await log.told_since("config.applied", since) == {other.id}
        assert await log.told_since("config.refused", since) == set()
        everything = {event.id for event in [*before, *after]}
        assert everything <= await log.told_since("service.registered", since - timedelta(hours=1))


async def test_an_event_is_published_as_it_is_stored(nats_server: NatsServer, spec: BucketSpec) -> None:
    async with _log(nats_server.url, spec) as (store, log):
        received: list[Msg] = []

        async def hear(message: Msg) -> None:
            received.append(message)

        await store.client.subscribe("hub.events.>", cb=hear)
        await store.client.flush()
        event = _event(1)
        log.append(event)
        await until(lambda: received)
        assert received[0].subject == "hub.events.service.registered"
        assert msgspec.json.decode(received[0].data, type=CloudEvent) == event


async def test_events_wait_while_nats_is_away_and_none_is_lost_or_doubled(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    async with _log(nats_server.url, spec) as (store, log):
        events = [_event(n) for n in range(600)]
        for event in events[:200]:
            log.append(event)
        await asyncio.sleep(0)
        nats_server.kill()
        for event in events[200:]:
            log.append(event)
        await asyncio.to_thread(nats_server.start)
        await until(lambda: log.waiting == 0)
        assert await _stored(store) == [event.id for event in events]
        assert log.dropped == 0


async def test_events_whose_acknowledgements_were_lost_are_not_stored_twice(
    nats_server: NatsServer, spec: BucketSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _log(nats_server.url, spec) as (store, log):
        ask, lost = Requester.begin, 0

        async def begin(self: Requester, subject: str, payload: bytes = b"", **more: Any) -> asyncio.Future[Msg]:
            nonlocal lost
            reply = await ask(self, subject, payload, **more)
            if "Nats-Msg-Id" in (more.get("headers") or {}) and lost < 20:
                lost += 1
                await reply
                reply = asyncio.get_running_loop().create_future()
                reply.set_exception(DeadlineExceeded("the answer was lost"))
            return reply

        monkeypatch.setattr(Requester, "begin", begin)
        events = [_event(n) for n in range(50)]
        for event in events:
            log.append(event)
        await until(lambda: log.waiting == 0)
        assert lost == 20
        assert await _stored(store) == [event.id for event in events]
        assert (log.written, log.dropped) == (50, 0)


async def test_a_stalled_network_delays_events_and_doubles_none(nats_server: NatsServer, spec: BucketSpec) -> None:
    async with Proxy(nats_server.port) as proxy, _log(proxy.url, spec, timeout=0.5) as (store, log):
        events = [_event(n) for n in range(300)]
        proxy.stall()
        for event in events:
            log.append(event)
        await asyncio.sleep(1.2)  # longer than the log waits for an answer: it begins anew into the stall
        proxy.resume()
        await until(lambda: log.waiting == 0)
        assert sorted(await _stored(store)) == sorted(event.id for event in events)


async def test_a_stream_that_is_gone_is_made_again(nats_server: NatsServer, spec: BucketSpec) -> None:
    async with _log(nats_server.url, spec) as (store, log):
        await store.api(f"STREAM.DELETE.{EVENTS.stream}")
        event = _event(1)
        log.append(event)
        await until(lambda: log.waiting == 0)
        assert await _stored(store) == [event.id]


async def test_when_too_many_wait_the_newest_is_refused_and_counted(nats_server: NatsServer, spec: BucketSpec) -> None:
    async with _log(nats_server.url, spec, capacity=10) as (store, log):
        events = [_event(n) for n in range(13)]
        for event in events:
            log.append(event)
        assert log.dropped == 3
        await until(lambda: log.waiting == 0)
        assert await _stored(store) == [event.id for event in events[:10]]


async def test_an_event_that_can_never_be_stored_does_not_hold_up_the_others(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    async with _log(nats_server.url, spec) as (store, log):
        events = [_event(1), _event(2, {"too": "x" * 2_000_000}), _event(3)]
        for event in events:
            log.append(event)
        await until(lambda: log.waiting == 0)
        assert await _stored(store) == [events[0].id, events[2].id]
        assert log.dropped == 1


async def test_closing_writes_what_waits(nats_server: NatsServer, spec: BucketSpec) -> None:
    async with open_store(nats_server.url, spec) as store:
        await ensure(store.requester, EVENTS)
        events = [_event(n) for n in range(400)]
        async with EventLog(store.client, store.requester) as log:
            for event in events:
                log.append(event)
        assert await _stored(store) == [event.id for event in events]


async def test_closing_without_nats_ends_in_time_and_counts_what_was_not_written(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    async with _log(nats_server.url, spec) as (_, log):
        nats_server.kill()
        for n in range(5):
            log.append(_event(n))
        async with asyncio.timeout(10):
            await log.aclose(deadline=0.2)
        assert log.dropped == 5
