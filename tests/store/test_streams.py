from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.js.api import KeyValueConfig

from hub.errors import DeadlineExceeded, StartupError, Unavailable
from hub.store.jetstream import JetStreamBucket
from hub.store.streams import CONFIG, DESIRED, EVENTS, LEADER, REGISTRY, BucketSpec, StreamSpec, ensure
from tests.servers import NatsServer
from tests.store.stores import BRISK, Recorder, open_store
from tests.waiting import until


async def test_every_stream_of_the_hub_is_made_and_making_it_again_changes_nothing(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    async with open_store(nats_server.url, spec) as store:
        everything = (REGISTRY, DESIRED, CONFIG, LEADER, EVENTS)
        await asyncio.gather(*(ensure(store.requester, one) for one in everything for _ in range(3)))
        before = [await store.api(f"STREAM.INFO.{one.stream}") for one in everything]
        for one in everything:
            await ensure(store.requester, one)
        after = [await store.api(f"STREAM.INFO.{one.stream}") for one in everything]
        assert [info["config"] for info in before] == [info["config"] for info in after]


async def test_a_registry_change_is_republished_on_the_delta_subject_of_its_key(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    async with open_store(nats_server.url, REGISTRY) as store:
        await ensure(store.requester, REGISTRY)
        deltas: list[Msg] = []

        async def hear(message: Msg) -> None:
            deltas.append(message)

        await store.client.subscribe("hub.delta.>", cb=hear)
        first = await store.bucket.put("trading-engine.a1", b"1")
        second = await store.bucket.delete("trading-engine.a1", expected=first)
        await until(lambda: len(deltas) == 2)
        assert [delta.subject for delta in deltas] == ["hub.delta.registry.trading-engine.a1"] * 2
        headers = [delta.headers or {} for delta in deltas]
        assert [int(h["Nats-Sequence"]) for h in headers] == [first, second]
        assert [int(h["Nats-Last-Sequence"]) for h in headers] == [0, first]
        assert headers[1]["KV-Operation"] == "PURGE"


async def test_a_stream_with_other_settings_is_changed_where_nats_allows_it(
    shared_nats: NatsServer, spec: BucketSpec
) -> None:
    async with open_store(shared_nats.url, spec) as store:
        await ensure(store.requester, replace(spec, history=1, republish_prefix="some.where"))
        await store.bucket.put("a.1", b"kept")
        await ensure(store.requester, replace(spec, history=5, max_bytes=1_000_000))
        info = await store.api(f"STREAM.INFO.{spec.stream}")
        config = info["config"]
        assert isinstance(config, dict)
        assert (config["max_msgs_per_subject"], config["max_bytes"]) == (5, 1_000_000)
        assert config.get("republish") is None
        assert (await store.contents()).keys() == {"a.1"}


async def test_a_stream_that_cannot_be_changed_says_what_differs(shared_nats: NatsServer, spec: BucketSpec) -> None:
    async with open_store(shared_nats.url, spec) as store:
        config: dict[str, object] = {"name": spec.stream, "subjects": [f"{spec.prefix}>"], "storage": "memory"}
        await store.api(f"STREAM.CREATE.{spec.stream}", config)
        with pytest.raises(StartupError, match="storage is 'memory', wanted 'file'"):
            await ensure(store.requester, spec)


async def test_subjects_that_belong_to_another_stream_are_a_clear_error(
    shared_nats: NatsServer, spec: BucketSpec
) -> None:
    async with open_store(shared_nats.url, spec) as store:
        await ensure(store.requester, StreamSpec(f"A-{spec.name}", (f"{spec.name}.>",)))
        with pytest.raises(StartupError, match=f"B-{spec.name} cannot be created.*overlap"):
            await ensure(store.requester, StreamSpec(f"B-{spec.name}", (f"{spec.name}.>",)))


async def test_without_jetstream_the_error_says_what_to_do(tmp_path: Path, spec: BucketSpec) -> None:
    with NatsServer(tmp_path / "nats", jetstream=False) as server:
        async with open_store(server.url, spec) as store:
            with pytest.raises(StartupError, match="start nats-server with `-js`"):
                await ensure(store.requester, spec, patience=0.5)


async def test_a_bucket_of_the_nats_tools_is_taken_over(shared_nats: NatsServer, spec: BucketSpec) -> None:
    """nats-py makes and reads buckets as the `nats kv` command does."""
    async with open_store(shared_nats.url, spec) as store:
        theirs = await store.client.jetstream().create_key_value(KeyValueConfig(bucket=spec.name, direct=True))
        await theirs.put("a.1", b"theirs")
        await ensure(store.requester, spec)
        recorder = Recorder()
        async with store.bucket.watch(recorder):
            assert recorder.state["a.1"][0] == b"theirs"
            await store.bucket.put("a.2", b"ours")
            assert (await theirs.get("a.2")).value == b"ours"
            await theirs.delete("a.1")
            await until(lambda: "a.1" not in recorder.state)
            entry = await store.bucket.get("a.1")
            assert entry is not None
            assert entry.value is None


@pytest.mark.parametrize("act", ["get", "put", "delete"])
async def test_a_bucket_that_does_not_exist_is_unavailable(shared_nats: NatsServer, spec: BucketSpec, act: str) -> None:
    async with open_store(shared_nats.url, spec) as store:
        acts: dict[str, Callable[[], Coroutine[object, object, object]]] = {
            "get": lambda: store.bucket.get("a.1"),
            "put": lambda: store.bucket.put("a.1", b"1"),
            "delete": lambda: store.bucket.delete("a.1"),
        }
        with pytest.raises(Unavailable, match=f"bucket {spec.name}: .* missing, or JetStream is off"):
            await acts[act]()


async def test_a_frozen_server_is_a_deadline_exceeded(nats_server: NatsServer, spec: BucketSpec) -> None:
    async with open_store(nats_server.url, spec) as store:
        await ensure(store.requester, spec)
        bucket = JetStreamBucket(store.client, store.requester, spec, timeout=0.3, pace=BRISK)
        nats_server.pause()
        with pytest.raises(DeadlineExceeded, match=r"could not be written within 0.3 s"):
            await bucket.put("a.1", b"1")
        with pytest.raises(DeadlineExceeded, match=r"could not be read within 0.3 s"):
            await bucket.get("a.1")
        nats_server.resume()


async def test_a_full_bucket_is_a_clear_error(shared_nats: NatsServer, spec: BucketSpec) -> None:
    small = replace(spec, max_bytes=2_000)
    async with open_store(shared_nats.url, small) as store:
        await ensure(store.requester, small)
        writes = (store.bucket.put(f"a.{n}", b"x" * 500) for n in range(10))
        results = await asyncio.gather(*writes, return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        assert failures
        assert all(isinstance(failure, Unavailable) for failure in failures), failures
        assert "maximum bytes exceeded" in str(failures[0])


async def test_a_watch_of_a_store_that_is_away_gives_up_and_says_why(tmp_path: Path, spec: BucketSpec) -> None:
    with NatsServer(tmp_path / "nats", jetstream=False) as server:
        async with open_store(server.url, spec, pace=replace(BRISK, patience=0.1)) as store:
            with pytest.raises(Unavailable, match=f"bucket {spec.name}: not read within 1 s"):
                async with store.bucket.watch(Recorder()):
                    pass


def test_markers_that_would_go_too_soon_are_refused() -> None:
    with pytest.raises(ValueError, match="marker_ttl"):
        BucketSpec("short", marker_ttl=60.0)
