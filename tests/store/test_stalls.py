"""Everything that makes a plain KV watch lie, caused with real servers: nothing may be lost, nothing may stay stale."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from hub.store import watcher
from hub.store.feed import GAP, LISTENER_FAILED
from hub.store.streams import BucketSpec, ensure
from hub.transport.direct import Deliver
from tests.proxy import Proxy
from tests.servers import NatsCluster, NatsServer
from tests.store.stores import BRISK, Recorder, Store, agreement, open_store
from tests.waiting import PATIENCE, until


async def _fill(store: Store, count: int = 20) -> None:
    await ensure(store.requester, store.spec)
    for n in range(count):
        await store.bucket.put(f"engine.{n}", b"%d" % n)


async def _until_stored_nowhere(store: Store, key: str) -> None:
    """Return when not even a marker of the key is left."""
    entry = await store.bucket.get(key)
    async with asyncio.timeout(PATIENCE):
        while entry is not None:
            await asyncio.sleep(0.1)
            entry = await store.bucket.get(key)


async def test_a_killed_and_restarted_server_loses_nothing(nats_server: NatsServer, spec: BucketSpec) -> None:
    recorder = Recorder()
    async with open_store(nats_server.url, spec) as ours, open_store(nats_server.url, spec) as other:
        await _fill(ours)
        async with ours.bucket.watch(recorder) as watch:
            await asyncio.to_thread(nats_server.restart)
            for n in range(50):
                await other.put(f"late.{n}", b"x")
            await other.bucket.delete("engine.3")
            await agreement(watch, recorder, other)
            assert "engine.3" not in recorder.state
            assert len(recorder.state) == 20 - 1 + 50
            assert recorder.resets == 0


async def test_what_is_written_the_moment_the_server_is_back_is_not_lost(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    recorder = Recorder()
    async with open_store(nats_server.url, spec) as ours:
        await _fill(ours)
        async with ours.bucket.watch(recorder) as watch:
            await asyncio.to_thread(nats_server.restart)
            async with open_store(nats_server.url, spec) as quick:  # connects before the watch has reconnected
                await quick.put("engine.1", b"new")
                await quick.bucket.delete("engine.2")
            await agreement(watch, recorder, ours)
            assert recorder.state["engine.1"][0] == b"new"
            assert "engine.2" not in recorder.state


async def test_a_wiped_store_is_made_again_and_its_first_updates_are_told(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    recorder = Recorder()
    async with open_store(nats_server.url, spec) as ours, open_store(nats_server.url, spec) as other:
        await _fill(ours)
        async with ours.bucket.watch(recorder) as watch:
            nats_server.kill()
            nats_server.wipe()
            await asyncio.to_thread(nats_server.start)
            await other.put("first.1", b"after")
            await agreement(watch, recorder, other)
            assert {key: value for key, (value, _) in recorder.state.items()} == {"first.1": b"after"}
            assert recorder.resets == 1
            assert watch.revision < 20
            assert watch.rereads[watcher.MISSING] >= 1


async def test_a_recreated_bucket_starts_again_even_when_it_has_grown_beyond_the_old_one(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    recorder = Recorder()
    async with open_store(nats_server.url, spec) as ours, open_store(nats_server.url, spec) as other:
        await _fill(ours)
        async with ours.bucket.watch(recorder) as watch:
            await other.api(f"STREAM.DELETE.{spec.stream}")
            await ensure(other.requester, spec)
            for n in range(60):
                await other.put(f"new.{n}", b"%d" % n)
            await until(lambda: recorder.resets, "the listener was never told that revisions start again")
            await agreement(watch, recorder, other)
            assert recorder.resets == 1
            assert len(recorder.state) == 60


@pytest.mark.parametrize("undone", ["engine.1", "later.1"], ids=["a-changed-key", "a-new-key"])
@pytest.mark.parametrize("regrown", [0, 30], ids=["at-once", "after-it-grew-beyond-what-was-known"])
async def test_a_store_that_went_back_in_time_is_believed(
    nats_server: NatsServer, spec: BucketSpec, undone: str, regrown: int
) -> None:
    recorder = Recorder()
    copy = nats_server.folder / "copy"
    async with Proxy(nats_server.port) as proxy, open_store(nats_server.url, spec) as direct:
        await _fill(direct)
        before = await direct.contents()
        nats_server.stop()
        shutil.copytree(nats_server.store, copy)
        await asyncio.to_thread(nats_server.start)
        await direct.put(undone, b"will be undone")
        async with open_store(proxy.url, spec) as ours, ours.bucket.watch(recorder) as watch:
            assert recorder.state[undone][0] == b"will be undone"
            proxy.stall()
            nats_server.kill()
            nats_server.wipe()
            shutil.copytree(copy, nats_server.store)
            await asyncio.to_thread(nats_server.start)
            for n in range(regrown):
                await direct.put(f"regrown.{n}", b"x")
            proxy.cut()
            proxy.resume()
            await until(lambda: recorder.lost)
            await agreement(watch, recorder, direct)
            assert recorder.state.get(undone) == before.get(undone)
            if undone in before or not regrown:  # else nothing that is stored tells of it, and nothing is stale
                assert recorder.resets == 1


@pytest.mark.parametrize("more", [False, True], ids=["nothing-else-happens", "other-keys-change"])
async def test_a_key_that_expired_while_the_network_stalled_goes_although_its_marker_is_gone_too(
    nats_server: NatsServer, spec: BucketSpec, more: bool
) -> None:
    recorder = Recorder()
    async with Proxy(nats_server.port) as proxy, open_store(nats_server.url, spec) as direct:
        config = {**spec.config(), "name": spec.stream, "subject_delete_marker_ttl": 1_000_000_000}
        await direct.api(f"STREAM.CREATE.{spec.stream}", config)  # markers go sooner than a BucketSpec allows
        await direct.bucket.put("engine.1", b"stays")
        await direct.bucket.put("engine.2", b"expires", ttl=2)
        async with open_store(proxy.url, spec) as ours, ours.bucket.watch(recorder) as watch:
            assert "engine.2" in recorder.state
            proxy.stall()
            await _until_stored_nowhere(direct, "engine.2")
            if more:
                await direct.bucket.put("engine.3", b"new")
            proxy.resume()
            await agreement(watch, recorder, direct)
            assert "engine.2" not in recorder.state
            assert "engine.1" in recorder.state


async def test_a_key_that_vanished_without_any_sign_goes_with_the_next_scheduled_reading(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    recorder = Recorder()
    async with open_store(nats_server.url, spec, pace=replace(BRISK, resync=1.0)) as ours:
        await _fill(ours)
        async with ours.bucket.watch(recorder) as watch:
            await ours.api(f"STREAM.PURGE.{spec.stream}", {"filter": f"{spec.prefix}engine.5"})
            await agreement(watch, recorder, ours)
            assert "engine.5" not in recorder.state
            assert watch.rereads[watcher.RESYNC] >= 1


async def test_a_frozen_server_is_noticed_and_nothing_is_lost_when_it_goes_on(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    recorder = Recorder()
    async with open_store(nats_server.url, spec) as ours, open_store(nats_server.url, spec) as other:
        await _fill(ours)
        async with ours.bucket.watch(recorder) as watch:
            nats_server.pause()
            await until(lambda: recorder.lost)
            assert not watch.synced
            nats_server.resume()
            await other.put("engine.1", b"new")
            await agreement(watch, recorder, other)
            assert recorder.state["engine.1"][0] == b"new"
            assert recorder.resets == 0


async def test_a_stalled_network_is_noticed_and_nothing_is_lost_when_it_flows_again(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    recorder = Recorder()
    async with Proxy(nats_server.port) as proxy, open_store(nats_server.url, spec) as direct:
        await _fill(direct)
        async with open_store(proxy.url, spec) as ours, ours.bucket.watch(recorder) as watch:
            proxy.stall()
            for n in range(30):
                await direct.put(f"stalled.{n}", b"x")
            await direct.bucket.delete("engine.4")
            await until(lambda: recorder.lost)
            proxy.resume()
            await agreement(watch, recorder, direct)
            assert len(recorder.state) == 20 - 1 + 30
            assert watch.rereads[watcher.SILENT] >= 1


async def test_a_cut_connection_loses_nothing(nats_server: NatsServer, spec: BucketSpec) -> None:
    recorder = Recorder()
    async with Proxy(nats_server.port) as proxy, open_store(nats_server.url, spec) as direct:
        await _fill(direct)
        async with open_store(proxy.url, spec) as ours, ours.bucket.watch(recorder) as watch:
            for n in range(5):
                proxy.cut()
                await direct.put(f"cut.{n}", b"x")
                await direct.bucket.delete(f"engine.{n}")
                await until(lambda n=n: len(recorder.lost) > n)  # type: ignore[misc]
                await agreement(watch, recorder, direct)
            assert watch.rereads[watcher.DISCONNECTED] >= 5


async def test_a_deleted_consumer_is_replaced(nats_server: NatsServer, spec: BucketSpec) -> None:
    recorder = Recorder()
    async with open_store(nats_server.url, spec) as ours:
        await _fill(ours)
        async with ours.bucket.watch(recorder) as watch:
            listed = await ours.api(f"CONSUMER.NAMES.{spec.stream}")
            consumers = listed["consumers"]
            assert isinstance(consumers, list)
            assert len(consumers) == 1
            await ours.api(f"CONSUMER.DELETE.{spec.stream}.{consumers[0]}")
            await ours.put("engine.1", b"new")
            await agreement(watch, recorder, ours)
            assert recorder.state["engine.1"][0] == b"new"
            assert recorder.lost


async def _through_a_short_queue(client: Client, subject: str, deliver: Deliver) -> Subscription:
    """What the connection holds for the watch is little, and the rest it drops."""
    return await client.subscribe(subject, cb=deliver, pending_msgs_limit=4)


async def test_messages_dropped_by_a_slow_consumer_are_read_again(
    nats_server: NatsServer, spec: BucketSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    async with open_store(nats_server.url, spec) as ours, open_store(nats_server.url, spec) as other:
        await _fill(ours, 1)
        monkeypatch.setattr("hub.store.feed.subscribe_direct", _through_a_short_queue)
        async with ours.bucket.watch(recorder) as watch:
            monkeypatch.undo()
            await asyncio.gather(*(other.bucket.put(f"burst.{n}", b"x") for n in range(500)))
            await agreement(watch, recorder, other)
            assert watch.rereads[GAP] >= 1


async def test_a_stopped_event_loop_loses_nothing(nats_server: NatsServer, spec: BucketSpec) -> None:
    recorder = Recorder()
    async with open_store(nats_server.url, spec) as ours, open_store(nats_server.url, spec) as other:
        await _fill(ours)
        async with ours.bucket.watch(recorder) as watch:
            writes = [asyncio.ensure_future(other.put(f"late.{n}", b"x")) for n in range(50)]
            await asyncio.sleep(0)
            time.sleep(1.5)
            await asyncio.gather(*writes)
            await agreement(watch, recorder, other)
            assert len(recorder.state) == 70


async def test_old_messages_of_a_consumer_given_up_are_not_taken_for_news(
    nats_server: NatsServer, spec: BucketSpec
) -> None:
    """Stalled updates of the first feed arrive together with the second reading; `Recorder` refuses older values."""
    recorder = Recorder()
    async with Proxy(nats_server.port) as proxy, open_store(nats_server.url, spec) as direct:
        await _fill(direct, 3)
        async with open_store(proxy.url, spec) as ours, ours.bucket.watch(recorder) as watch:
            for round_ in range(3):
                proxy.stall()
                for n in range(20):
                    await direct.put("engine.1", b"%d.%d" % (round_, n))
                await until(lambda: not watch.synced)
                await direct.bucket.delete("engine.1")
                proxy.resume()
                await agreement(watch, recorder, direct)
                assert "engine.1" not in recorder.state


async def test_a_failing_listener_is_told_everything_again(nats_server: NatsServer, spec: BucketSpec) -> None:
    class Fragile(Recorder):
        failures = 1

        def on_put(self, key: str, value: bytes, revision: int) -> None:
            if key == "engine.bad" and self.failures:
                self.failures -= 1
                raise RuntimeError("a bug")
            super().on_put(key, value, revision)

    recorder = Fragile()
    async with open_store(nats_server.url, spec) as ours:
        await _fill(ours)
        async with ours.bucket.watch(recorder) as watch:
            await ours.put("engine.bad", b"1")
            await agreement(watch, recorder, ours)
            assert recorder.lost[0] == LISTENER_FAILED
            assert recorder.failures == 0


async def test_in_a_cluster_the_death_of_only_the_consumers_node_is_noticed(tmp_path: Path, spec: BucketSpec) -> None:
    spec = replace(spec, replicas=3)
    with NatsCluster(tmp_path) as cluster:
        async with open_store(cluster.urls[0], spec) as ours:
            await ensure(ours.requester, spec, patience=PATIENCE)
            for n in range(20):
                await ours.put(f"engine.{n}", b"%d" % n)
            while not await _survives_its_node(cluster, ours):
                pass  # the consumer was on the node we are connected to: have it placed again


async def _survives_its_node(cluster: NatsCluster, store: Store) -> bool:
    """Kill the node of a watch's consumer and see that nothing is lost; False when that would cut our connection."""
    recorder = Recorder()
    async with store.bucket.watch(recorder) as watch:
        node = cluster.named(await _node_of_the_consumer(store))
        if node is cluster.servers[0]:
            return False
        losses = len(recorder.lost)
        node.kill()
        await until(lambda: len(recorder.lost) > losses)
        await store.put("engine.1", b"new")
        await agreement(watch, recorder, store)
        assert recorder.state["engine.1"][0] == b"new"
        assert recorder.resets == 0
        assert watch.rereads[watcher.DISCONNECTED] == 0
        return True


async def _node_of_the_consumer(store: Store) -> str:
    consumers: object = None
    async with asyncio.timeout(PATIENCE):
        while not consumers:  # a cluster leaves out whoever does not answer it in time
            listed = await store.api(f"CONSUMER.LIST.{store.spec.stream}")
            consumers = listed["consumers"]
    assert isinstance(consumers, list)
    newest = max(consumers, key=lambda consumer: str(consumer["created"]))
    leader = newest["cluster"]["leader"]
    assert isinstance(leader, str)
    return leader
