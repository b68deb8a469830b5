from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from hub.errors import DeadlineExceeded, HubError, PayloadTooLarge, Unavailable, Unsupported
from hub.store.ledger import JetStreamLedger
from hub.store.ports import Entry, Ledger, Past, RevisionConflict
from hub.store.streams import CONFIG, BucketSpec, ensure
from tests.servers import NatsCluster, NatsServer
from tests.store.stores import BRISK, Recorder, Store, open_store
from tests.waiting import PATIENCE, until

TWO = {"_all": b"1", "ledger": b"2"}


def ledger_of(store: Store, timeout: float = 2.0) -> JetStreamLedger:
    return JetStreamLedger(store.client, store.requester, store.spec, timeout=timeout, pace=BRISK)


async def test_one_key_is_committed_to_an_empty_bucket(ledger: Ledger) -> None:
    revision = await ledger.commit({"ledger": b"1"}, expected=0)
    assert await ledger.get("ledger") == Entry("ledger", b"1", revision)


async def test_many_keys_get_revisions_one_after_the_other_in_the_order_given(ledger: Ledger) -> None:
    first = await ledger.commit({"z": b"0"}, expected=0)
    last = await ledger.commit({"c": b"1", "a": b"2", "b": b"3"}, expected=first)
    entries = [await ledger.get(key) for key in ("c", "a", "b")]
    assert last == first + 3
    assert entries == [Entry("c", b"1", last - 2), Entry("a", b"2", last - 1), Entry("b", b"3", last)]


@pytest.mark.parametrize("values", [{"a": b"2"}, {"a": b"2", "b": b"2"}], ids=["one", "many"])
@pytest.mark.parametrize("off", [-1, 1, 1_000_000])
async def test_nothing_is_committed_when_the_bucket_is_not_where_it_was_expected(
    ledger: Ledger, values: dict[str, bytes], off: int
) -> None:
    revision = await ledger.commit({"a": b"1"}, expected=0)
    with pytest.raises(RevisionConflict):
        await ledger.commit(values, expected=revision + off)
    assert await ledger.get("a") == Entry("a", b"1", revision)
    assert await ledger.get("b") is None
    assert await ledger.commit(values, expected=revision) == revision + len(values)


@pytest.mark.parametrize("values", [{"a": b"2"}, {"a": b"2", "b": b"2"}], ids=["one", "many"])
async def test_a_write_to_any_key_moves_the_bucket(ledger: Ledger, values: dict[str, bytes]) -> None:
    revision = await ledger.commit({"a": b"1"}, expected=0)
    moved = await ledger.put("another", b"1")
    with pytest.raises(RevisionConflict):
        await ledger.commit(values, expected=revision)
    assert await ledger.commit(values, expected=moved) == moved + len(values)


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_of_many_commits_upon_the_same_revision_one_wins_wholly(ledger: Ledger, size: int) -> None:
    commits = ({f"k{k}": b"%d" % n for k in range(size)} for n in range(20))
    results = await asyncio.gather(*(ledger.commit(each, expected=0) for each in commits), return_exceptions=True)
    won = [n for n, result in enumerate(results) if isinstance(result, int)]
    assert len(won) == 1
    assert all(isinstance(result, int | RevisionConflict) for result in results), results
    entries = [await ledger.get(f"k{k}") for k in range(size)]
    assert entries == [Entry(f"k{k}", b"%d" % won[0], k + 1) for k in range(size)]


async def test_as_many_keys_as_a_request_can_change_are_committed_at_once(ledger: Ledger) -> None:
    values = {f"service-{n}": b"x" * 60_000 for n in range(130)}
    assert await ledger.commit(values, expected=0) == 130
    assert await ledger.get("service-0") == Entry("service-0", b"x" * 60_000, 1)
    assert await ledger.get("service-129") == Entry("service-129", b"x" * 60_000, 130)


async def test_a_commit_of_nothing_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="at least one key"):
        await ledger.commit({}, expected=0)


async def test_the_history_of_a_key_begins_with_the_newest(ledger: Ledger) -> None:
    revisions = []
    for n in range(4):
        revisions.append(await ledger.put("a", b"%d" % n))
        await ledger.put("b", b"other")
    history = await ledger.history("a")
    assert history == Past([Entry("a", b"%d" % n, revisions[n]) for n in (3, 2, 1, 0)])


async def test_the_history_is_read_in_parts(ledger: Ledger) -> None:
    revisions = [await ledger.put("a", b"%d" % n) for n in range(5)]
    newest = await ledger.history("a", limit=2)
    older = await ledger.history("a", before=newest.entries[-1].revision, limit=2)
    oldest = await ledger.history("a", before=older.entries[-1].revision, limit=2)
    assert [entry.revision for part in (newest, older, oldest) for entry in part.entries] == revisions[::-1]
    assert [part.more for part in (newest, older, oldest)] == [True, True, False]
    assert await ledger.history("a", before=revisions[0]) == Past([])


async def test_a_key_never_written_has_no_history(ledger: Ledger) -> None:
    await ledger.put("b", b"1")
    assert await ledger.history("a") == Past([])


async def test_only_as_much_is_kept_as_the_bucket_says(ledger: Ledger) -> None:
    last = 0
    for n in range(8):
        last = await ledger.commit({"a": b"%d" % n, "b": b"%d" % n}, expected=last)
    assert [entry.value for entry in (await ledger.history("a")).entries] == [b"7", b"6", b"5", b"4", b"3"]
    assert await ledger.at("a", 1) is None
    assert await ledger.at("a", last - 1) == Entry("a", b"7", last - 1)


async def test_an_entry_is_found_by_its_key_and_revision(ledger: Ledger) -> None:
    first = await ledger.put("a", b"1")
    second = await ledger.put("b", b"")
    third = await ledger.put("a", b"2")
    assert await ledger.at("a", first) == Entry("a", b"1", first)
    assert await ledger.at("b", second) == Entry("b", b"", second)
    assert await ledger.at("a", third) == Entry("a", b"2", third)


async def test_an_entry_of_another_key_or_of_no_revision_is_none(ledger: Ledger) -> None:
    first = await ledger.put("a", b"1")
    assert await ledger.at("b", first) is None
    assert await ledger.at("a", first + 1) is None
    assert await ledger.at("a", 0) is None
    assert await ledger.at("a", 2**64) is None


async def test_a_deletion_is_all_that_is_kept_of_a_key(ledger: Ledger) -> None:
    first = await ledger.put("a", b"1")
    gone = await ledger.delete("a")
    assert await ledger.history("a") == Past([Entry("a", None, gone)])
    assert await ledger.at("a", first) is None
    assert await ledger.commit(TWO, expected=gone) == gone + 2


async def test_a_watch_is_told_of_a_commits_keys_in_order(ledger: Ledger) -> None:
    recorder = Recorder()
    await ledger.commit({"b": b"0", "a": b"0"}, expected=0)
    async with ledger.watch(recorder) as watch:
        await ledger.commit({"c": b"1", "b": b"1", "a": b"1"}, expected=2)
        await until(lambda: watch.revision == 5)
    assert recorder.history == [
        ("put", "b", 1),
        ("put", "a", 2),
        ("put", "c", 3),
        ("put", "b", 4),
        ("put", "a", 5),
    ]
    assert not recorder.violations


# --- the real one only


async def test_a_history_longer_than_a_page_is_read_whole(shared_nats: NatsServer, spec: BucketSpec) -> None:
    async with open_store(shared_nats.url, replace(spec, history=64)) as store:
        await ensure(store.requester, store.spec)
        ledger = ledger_of(store)
        large = b"x" * 100_000
        revisions = [await ledger.put("a", b"%d" % n + large) for n in range(64)]
        history = await ledger.history("a")
        assert [entry.revision for entry in history.entries] == revisions[::-1]
        assert [entry.value for entry in history.entries] == [b"%d" % n + large for n in range(63, -1, -1)]
        assert [entry.revision for entry in (await ledger.history("a", before=revisions[50])).entries] == revisions[
            49::-1
        ]


async def test_a_committed_change_is_republished_with_its_revision_and_the_one_before(nats_server: NatsServer) -> None:
    async with open_store(nats_server.url, CONFIG) as store:
        await ensure(store.requester, CONFIG)
        ledger = ledger_of(store)
        deltas: list[Msg] = []

        async def hear(message: Msg) -> None:
            deltas.append(message)

        await store.client.subscribe("hub.delta.config.>", cb=hear)
        await store.client.flush()
        first = await ledger.commit({"_all": b"1"}, expected=0)
        second = await ledger.commit({"_all": b"2", "ledger": b"3"}, expected=first)
        third = await ledger.commit({"ledger": b"4", "_all": b"5", "engine": b"6"}, expected=second)
        await until(lambda: len(deltas) == 6)
        told = [
            (m.subject, m.data, int((m.headers or {})["Nats-Sequence"]), int((m.headers or {})["Nats-Last-Sequence"]))
            for m in deltas
        ]
        assert told == [
            ("hub.delta.config._all", b"1", first, 0),
            ("hub.delta.config._all", b"2", second - 1, first),
            ("hub.delta.config.ledger", b"3", second, 0),
            ("hub.delta.config.ledger", b"4", third - 2, second),
            ("hub.delta.config._all", b"5", third - 1, second - 1),
            ("hub.delta.config.engine", b"6", third, 0),
        ]


async def test_many_keys_are_unsupported_by_a_stream_that_is_not_atomic(
    shared_nats: NatsServer, spec: BucketSpec
) -> None:
    async with open_store(shared_nats.url, spec) as store:
        await ensure(store.requester, spec)
        ledger = ledger_of(store)
        assert await ledger.commit({"a": b"1"}, expected=0) == 1
        with pytest.raises(Unsupported, match=f"bucket {spec.name}: does not take 2 keys"):
            await ledger.commit(TWO, expected=1)
        assert (await store.contents()).keys() == {"a"}


async def test_a_stream_from_before_becomes_atomic(shared_nats: NatsServer, spec: BucketSpec) -> None:
    async with open_store(shared_nats.url, spec) as store:
        await ensure(store.requester, spec)
        await store.bucket.put("a", b"kept")
        await ensure(store.requester, replace(spec, atomic=True, history=64))
        assert await ledger_of(store).commit(TWO, expected=1) == 3
        assert (await store.contents()).keys() == {"a", *TWO}


async def test_a_commit_with_a_value_too_large_leaves_nothing_behind(shared_nats: NatsServer, spec: BucketSpec) -> None:
    async with open_store(shared_nats.url, replace(spec, atomic=True)) as store:
        await ensure(store.requester, store.spec)
        with pytest.raises(PayloadTooLarge, match="ledger: expected at most"):
            await ledger_of(store).commit({"_all": b"1", "ledger": b"x" * 2_000_000}, expected=0)
        assert await store.contents() == {}


async def test_a_commit_that_a_full_bucket_cannot_hold_writes_nothing(
    shared_nats: NatsServer, spec: BucketSpec
) -> None:
    async with open_store(shared_nats.url, replace(spec, atomic=True, max_bytes=3_000)) as store:
        await ensure(store.requester, store.spec)
        with pytest.raises(HubError, match="maximum bytes exceeded"):
            await ledger_of(store).commit({f"k{n}": b"x" * 1_000 for n in range(5)}, expected=0)
        assert await store.contents() == {}


async def test_a_ledger_that_does_not_exist_is_unavailable(shared_nats: NatsServer, spec: BucketSpec) -> None:
    async with open_store(shared_nats.url, replace(spec, atomic=True)) as store:
        ledger = ledger_of(store)
        with pytest.raises(Unavailable, match=f"bucket {spec.name}: .* missing, or JetStream is off"):
            await ledger.commit({"a": b"1"}, expected=0)
        with pytest.raises(Unavailable, match=f"bucket {spec.name}: .* missing, or JetStream is off"):
            await ledger.commit(TWO, expected=0)
        with pytest.raises(Unavailable, match=f"bucket {spec.name}: .* missing, or JetStream is off"):
            await ledger.history("a")
        with pytest.raises(Unavailable, match=f"bucket {spec.name}: .* missing, or JetStream is off"):
            await ledger.at("a", 1)


async def test_a_ledger_on_a_frozen_server_is_a_deadline_exceeded(nats_server: NatsServer, spec: BucketSpec) -> None:
    async with open_store(nats_server.url, replace(spec, atomic=True)) as store:
        await ensure(store.requester, store.spec)
        ledger = ledger_of(store, timeout=0.3)
        nats_server.pause()
        for call in (ledger.commit({"a": b"1"}, expected=0), ledger.commit(TWO, expected=0)):
            with pytest.raises(DeadlineExceeded, match=r"could not be written within 0.3 s"):
                await call
        for read in (ledger.history("a"), ledger.at("a", 1)):
            with pytest.raises(DeadlineExceeded, match=r"could not be read within 0.3 s"):
                await read
        nats_server.resume()


async def test_a_commit_is_all_or_nothing_whenever_the_server_is_killed(tmp_path: Path, spec: BucketSpec) -> None:
    size = 40
    with NatsServer(tmp_path / "nats") as server:
        async with open_store(server.url, replace(spec, history=3, atomic=True)) as store:
            await ensure(store.requester, store.spec)
            ledger = ledger_of(store, timeout=1.0)
            acknowledged = 0

            async def write() -> None:
                nonlocal acknowledged
                expected = 0
                for n in range(1, 100_000):
                    values = {f"k{k}": b"%d" % n + b"x" * 2_000 for k in range(size)}
                    expected = await ledger.commit(values, expected=expected)
                    acknowledged = n

            writing = asyncio.create_task(write())
            await until(lambda: acknowledged >= 20)
            server.kill()
            with pytest.raises(HubError):
                await asyncio.wait_for(writing, PATIENCE)
            server.start()
            await until(lambda: store.client.is_connected)
            entries = [await _read(ledger, f"k{k}") for k in range(size)]
    values = {entry.value for entry in entries if entry is not None}
    assert len(values) == 1, "a commit was torn"
    number = int((values.pop() or b"").split(b"x")[0])
    assert number in (acknowledged, acknowledged + 1)
    assert [entry.revision for entry in entries if entry is not None] == [
        (number - 1) * size + k + 1 for k in range(size)
    ]


async def test_in_a_cluster_of_those_who_commit_at_once_one_wins_wholly(tmp_path: Path, spec: BucketSpec) -> None:
    with NatsCluster(tmp_path) as cluster:
        async with AsyncExitStack() as stack:
            spec = replace(spec, atomic=True, history=64, replicas=3)
            stores = [await stack.enter_async_context(open_store(url, spec)) for url in cluster.urls]
            await ensure(stores[0].requester, spec, patience=PATIENCE)
            ledgers = [ledger_of(store, timeout=PATIENCE) for store in stores]
            revision = 0
            for size in (1, 3, 1, 3, 3):
                won: list[tuple[int, int]] = []
                while not won:  # a busy machine may have the cluster elect another leader just then
                    commits = [
                        ledger.commit(_values(size, n), expected=revision) for n, ledger in enumerate(ledgers * 4)
                    ]
                    results = await asyncio.gather(*commits, return_exceptions=True)
                    assert all(isinstance(each, int | RevisionConflict | Unavailable) for each in results), results
                    won = [(n, result) for n, result in enumerate(results) if isinstance(result, int)]
                assert [result for _, result in won] == [revision + size], results
                revision += size
                newest = [(await _read_until(ledgers[0], f"k{k}", revision - size)).value for k in range(size)]
                assert newest == [b"%d" % won[0][0]] * size


def _values(size: int, number: int) -> dict[str, bytes]:
    return {f"k{k}": b"%d" % number for k in range(size)}


async def _read_until(ledger: Ledger, key: str, after: int) -> Entry:
    """The entry of a key that is newer than a revision: the replica that is asked may be a moment behind."""
    async with asyncio.timeout(PATIENCE):
        while True:
            entry = await ledger.get(key)
            if entry is not None and entry.revision > after:
                return entry
            await asyncio.sleep(0.01)


async def _read(ledger: Ledger, key: str) -> Entry | None:
    """Read as soon as the store is back."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await ledger.get(key)
            except HubError:
                await asyncio.sleep(0.05)
