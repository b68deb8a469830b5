from __future__ import annotations

import asyncio

from hub.store.ports import Bucket
from tests.store.stores import Recorder
from tests.waiting import until


async def test_entering_a_watch_tells_all_there_is(bucket: Bucket) -> None:
    for n in range(600):
        await bucket.put(f"engine.{n}", b"%d" % n)
    last = await bucket.delete("engine.7")
    recorder = Recorder()
    async with bucket.watch(recorder) as watch:
        assert {key: value for key, (value, _) in recorder.state.items()} == {
            f"engine.{n}": b"%d" % n for n in range(600) if n != 7
        }
        assert watch.synced
        assert watch.revision == last
        assert recorder.synced == [last]
        assert not recorder.lost
        assert not recorder.resets


async def test_a_watch_of_an_empty_bucket_is_synced_at_once(bucket: Bucket) -> None:
    recorder = Recorder()
    async with bucket.watch(recorder) as watch:
        assert watch.synced
        assert watch.revision == 0
        assert recorder.synced == [0]


async def test_changes_are_told_in_order_with_their_revisions(bucket: Bucket) -> None:
    recorder = Recorder()
    async with bucket.watch(recorder) as watch:
        expected = [
            ("put", "a.1", await bucket.put("a.1", b"1")),
            ("put", "b.1", await bucket.put("b.1", b"1")),
            ("put", "a.1", await bucket.put("a.1", b"2")),
            ("delete", "b.1", await bucket.delete("b.1")),
            ("put", "b.1", await bucket.put("b.1", b"3")),
        ]
        await until(lambda: len(recorder.history) == 5)
        assert recorder.history == expected
        assert watch.revision == expected[-1][2]
        assert not recorder.lost


async def test_an_expiry_is_told(bucket: Bucket) -> None:
    recorder = Recorder()
    async with bucket.watch(recorder):
        put = await bucket.put("leader", b"me", ttl=1)
        await until(lambda: len(recorder.history) == 2)
        kind, key, revision = recorder.history[1]
        assert (kind, key) == ("delete", "leader")
        assert revision > put
        assert not recorder.state


async def test_a_marker_is_told_with_its_revision_to_who_comes_later(bucket: Bucket) -> None:
    await bucket.put("a.1", b"1")
    gone = await bucket.delete("a.1")
    recorder = Recorder()
    async with bucket.watch(recorder) as watch:
        assert recorder.history == [("delete", "a.1", gone)]
        assert watch.revision == gone


async def test_nothing_is_told_inside_the_write_that_causes_it(bucket: Bucket) -> None:
    recorder = Recorder()
    async with bucket.watch(recorder):
        writes = [asyncio.ensure_future(bucket.put(f"a.{n}", b"1")) for n in range(200)]
        await asyncio.gather(*writes)
        await until(lambda: len(recorder.state) == 200)


async def test_two_watches_are_told_the_same(bucket: Bucket) -> None:
    one, two = Recorder(), Recorder()
    async with bucket.watch(one), bucket.watch(two):
        for n in range(50):
            await bucket.put(f"a.{n % 5}", b"%d" % n)
        await until(lambda: len(one.history) == len(two.history) == 50)
        assert one.history == two.history


async def test_a_left_watch_is_told_nothing_more(bucket: Bucket) -> None:
    left, stays = Recorder(), Recorder()
    async with bucket.watch(stays):
        async with bucket.watch(left) as watch:
            await bucket.put("a.1", b"1")
            await until(lambda: left.history)
        assert not watch.synced
        await bucket.put("a.2", b"1")
        await until(lambda: len(stays.history) == 2)
        assert len(left.history) == 1
