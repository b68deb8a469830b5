"""The log of a bucket: what it keeps of what the bucket forgets, and what becomes of it when that is made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from hub.errors import HubError, StartupError, Unavailable
from hub.store.api import StreamMissing
from hub.store.archived import ArchivedHistory
from hub.store.bucketlog import BucketLog, Log
from hub.store.ledger import JetStreamLedger
from hub.store.memoryarchive import MemoryArchive
from hub.store.ports import Entry, Mark, Past
from hub.store.streams import BucketSpec, ensure
from tests.servers import NatsServer
from tests.store.stores import Store, open_store
from tests.waiting import PATIENCE

SPEC = BucketSpec("test-log", history=3, atomic=True)


@dataclass
class Bench:
    store: Store
    ledger: JetStreamLedger
    log: BucketLog

    async def present(self) -> Log:
        """The log of the present incarnation, once it has all that the bucket has ever stored."""
        newest = (await self.store.api(f"STREAM.INFO.{SPEC.stream}"))["state"]
        assert isinstance(newest, dict)
        async with asyncio.timeout(PATIENCE):
            while True:
                log = (await self.log.keep())[-1]
                entries = (await self.log.read(log, after=0)).entries
                if (entries[-1].entry.revision if entries else 0) >= newest["last_seq"]:
                    return log
                await asyncio.sleep(0.02)

    async def begun(self) -> Log:
        """The log, once it follows the bucket: it takes a moment to begin, and has one entry then."""
        await self.ledger.put("begun", b"")
        return await self.present()

    async def revisions(self, log: Log) -> list[int]:
        return [one.entry.revision for one in (await self.log.read(log, after=0)).entries]


@asynccontextmanager
async def bucket_with_log(url: str, spec: BucketSpec = SPEC, max_bytes: int = 2**20) -> AsyncIterator[Bench]:
    async with open_store(url, spec) as store:
        await ensure(store.requester, spec)
        log = BucketLog(store.client, store.requester, spec, max_age=3600, max_bytes=max_bytes)
        yield Bench(store, JetStreamLedger(store.client, store.requester, spec), log)


async def test_it_begins_with_what_the_bucket_has_and_keeps_what_the_bucket_lets_go_of(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url) as at:
        for n in range(5):
            await at.ledger.put("early", b"%d" % n)
        await at.present()
        for n in range(5):
            await at.ledger.put("late", b"%d" % n)
        await at.ledger.commit({"a": b"1", "b": b"2"}, expected=10)
        log = await at.present()
        assert await at.revisions(log) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
        page = await at.log.read(log, after=7)
        assert [one.entry for one in page.entries] == [
            Entry("late", b"4", 10),
            Entry("a", b"1", 11),
            Entry("b", b"2", 12),
        ]
        assert (page.sequence, page.more) == (10, False)
        assert await at.log.read(log, after=10) == ([], 0, False)


async def test_a_purge_of_the_bucket_takes_nothing_from_it(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url) as at:
        await at.begun()
        for n in range(3):
            await at.ledger.put("a", b"%d" % n)
        await at.ledger.delete("a")
        await at.ledger.put("a", b"again")
        log = await at.present()
        values = [one.entry.value for one in (await at.log.read(log, after=0)).entries]
        assert values == [b"", b"0", b"1", b"2", None, b"again"]
        await at.store.api(f"STREAM.PURGE.{SPEC.stream}")
        await at.ledger.put("a", b"after")
        assert await at.revisions(await at.present()) == [1, 2, 3, 4, 5, 6, 7]


async def test_to_keep_it_again_changes_nothing_and_other_bounds_are_taken(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url) as at:
        first = await at.present()
        created = (await at.store.api(f"STREAM.INFO.{first.spec.stream}"))["created"]
        await asyncio.gather(*(at.log.keep() for _ in range(5)))
        larger = BucketLog(at.store.client, at.store.requester, SPEC, max_age=7200, max_bytes=2**21)
        await larger.keep()
        info = await at.store.api(f"STREAM.INFO.{first.spec.stream}")
        assert info["created"] == created
        assert isinstance(info["config"], dict)
        assert (info["config"]["max_age"], info["config"]["max_bytes"]) == (7200 * 10**9, 2**21)


async def test_a_bucket_made_anew_gets_another_log_and_the_earlier_one_stays_as_it_was(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url) as at:
        for n in range(4):
            await at.ledger.put("a", b"%d" % n)
        before = await at.present()
        await at.store.api(f"STREAM.DELETE.{SPEC.stream}")
        with pytest.raises(StreamMissing):
            await at.log.keep()
        await ensure(at.store.requester, SPEC)
        for n in range(9):
            await at.ledger.put(f"k{n}", b"new")
        after = await at.present()
        logs = await at.log.keep()
        assert [log.incarnation for log in logs] == [before.incarnation, after.incarnation]
        assert [log.is_present for log in logs] == [False, True]
        await asyncio.sleep(2)  # the log of what is no more must not take up what is new
        assert [one.entry.value for one in (await at.log.read(logs[0], after=0)).entries] == [b"1", b"2", b"3"]
        assert await at.revisions(logs[1]) == list(range(1, 10))
        await at.log.drop(logs[0])
        await at.log.drop(logs[0])
        assert [log.incarnation for log in await at.log.keep()] == [after.incarnation]


async def test_what_was_stored_after_an_incarnation_ended_is_none_of_it(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url) as at:
        for n in range(4):
            await at.ledger.put(f"k{n}", b"%d" % n)
        log = await at.present()
        page = await at.log.read(log, after=0)
        ended = log._replace(ends=page.entries[2].at)
        cut = await at.log.read(ended, after=0)
        assert [one.entry.revision for one in cut.entries] == [1, 2]
        assert cut.sequence == 4, "what is skipped is not read again"


async def test_it_follows_a_bucket_over_a_crash_of_the_server(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url) as at:
        await at.begun()
        for n in range(10):
            await at.store.put("a", b"%d" % n)
        nats_server.restart()
        for n in range(10):
            await at.store.put("a", b"%d" % n)
        found = await at.revisions(await at.present())
        assert found == list(range(1, found[-1] + 1))
        assert len(found) >= 21


async def test_a_full_log_lets_go_of_the_oldest(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url, replace(SPEC, history=64), max_bytes=200_000) as at:
        await at.begun()
        for _ in range(100):
            await at.ledger.put("a", b"x" * 10_000)
        log = await at.present()
        entries = (await at.log.read(log, after=0)).entries
        assert 10 < len(entries) < 20
        assert entries[-1].entry.revision == 101


async def test_how_far_it_has_come_is_told_in_revisions_of_the_bucket(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url) as at:
        with pytest.raises(Unavailable, match="cannot be read"):
            await at.log.reached()
        await at.log.begin()
        assert await at.log.reached() == 0
        for n in range(10):
            await at.ledger.put(f"k{n % 2}", b"%d" % n)
        log = await at.present()
        assert await at.log.reached() == 10
        await at.store.api(f"STREAM.PURGE.{log.spec.stream}")
        assert await at.log.reached() is None, "it has let go of all that would tell"
        await at.store.api(f"STREAM.DELETE.{SPEC.stream}")
        await ensure(at.store.requester, SPEC)
        await at.log.begin()
        assert await at.log.reached() == 0


async def test_a_log_that_jetstream_has_no_room_for_is_refused_with_the_reason(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url, max_bytes=2**60) as at:
        with pytest.raises(StartupError, match=r"TEST_LOG_LOG_\w+ .*insufficient storage"):
            await at.log.keep()


async def test_without_a_log_reading_it_is_unavailable(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url) as at:
        name = await at.log.incarnation()
        with pytest.raises(Unavailable, match=f"TEST_LOG_LOG_{name}: is not there yet"):
            await at.log.history(name, "a", after=Mark(), before=0, limit=1)


async def test_what_the_bucket_keeps_is_read_from_the_bucket_alone(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url) as at:
        await at.begun()
        for n in range(10):
            await at.ledger.put("a", b"%d" % n)
        await at.present()
        kept = {tuple(entry.revision for entry in (await at.ledger.history("a")).entries) for _ in range(200)}
        assert kept == {(11, 10, 9)}, "a stream beside it must answer none of its reads"


async def test_a_log_that_was_lost_begins_again_with_what_the_bucket_has(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url) as at:
        await at.begun()
        for n in range(10):
            await at.ledger.put("a", b"%d" % n)
        before = await at.present()
        mark = Mark(11, before.created, before.last)
        await at.log.drop(before)
        await at.ledger.put("a", b"after")
        log = await at.present()
        assert log.created != before.created
        assert (log.read_upto(mark), before.read_upto(mark)) == (0, before.last)
        assert await at.revisions(log) == [1, 10, 11, 12]
        waiting = await at.log.history(log.incarnation, "a", after=mark, before=0, limit=9)
        assert waiting == Past([Entry("a", b"after", 12)])


# --- the whole history


async def archived(at: Bench, archive: MemoryArchive, *, upto: int) -> ArchivedHistory:
    """The whole history, archived up to a revision."""
    log = await at.present()
    page = await at.log.read(log, after=0)
    entries = [one for one in page.entries if one.entry.revision <= upto]
    await archive.append(log.incarnation, entries, Mark(upto, log.created, len(entries)))
    return ArchivedHistory(at.ledger, at.log, archive)


@pytest.mark.parametrize("upto", [0, 1, 9, 10, 11, 20, 21])
async def test_a_history_is_whole_however_far_the_archive_has_come(nats_server: NatsServer, upto: int) -> None:
    async with bucket_with_log(nats_server.url) as at:
        await at.begun()
        for n in range(10):
            await at.ledger.commit({"a": b"%d" % n, "b": b"%d" % n}, expected=2 * n + 1)
        history = await archived(at, MemoryArchive(), upto=upto)
        even = list(range(20, 0, -2))
        assert [entry.revision for entry in (await history.history("a")).entries] == even
        assert (await history.history("a")).complete
        found: list[int] = []
        before, more = 0, True
        while more:
            part = await history.history("a", before=before, limit=2)
            found += [entry.revision for entry in part.entries]
            before, more = found[-1], part.more and bool(part.entries)
        assert found == even
        for revision in even:
            assert await history.at("a", revision) == Entry("a", b"%d" % (revision // 2 - 1), revision)
        assert await history.at("a", 3) is None
        assert await history.history("never") == Past([])


async def test_without_the_archive_there_is_what_the_bucket_keeps_and_that_it_is_not_all(
    nats_server: NatsServer,
) -> None:
    async with bucket_with_log(nats_server.url) as at:
        await at.begun()
        for n in range(10):
            await at.ledger.put("a", b"%d" % n)
        archive = MemoryArchive()
        history = await archived(at, archive, upto=11)
        archive.outage = Unavailable("PostgreSQL: cannot be reached")
        past = await history.history("a")
        assert [entry.revision for entry in past.entries] == [11, 10, 9]
        assert (past.complete, past.more) == (False, False)
        assert [entry.revision for entry in (await history.history("a", limit=3)).entries] == [11, 10, 9]
        assert (await history.history("a", limit=3)).complete, "as many as were asked for"
        assert await history.at("a", 10) == Entry("a", b"8", 10)
        with pytest.raises(HubError, match="PostgreSQL"):
            await history.at("a", 2)


async def test_what_an_earlier_incarnation_had_is_no_history_of_the_present_one(nats_server: NatsServer) -> None:
    async with bucket_with_log(nats_server.url, replace(SPEC)) as at:
        await at.ledger.put("a", b"old")
        archive = MemoryArchive()
        await archived(at, archive, upto=1)
        await at.store.api(f"STREAM.DELETE.{SPEC.stream}")
        await ensure(at.store.requester, SPEC)
        await at.ledger.put("b", b"new")
        history = await archived(at, archive, upto=1)
        assert await history.history("a") == Past([])
        assert await history.at("a", 1) is None
