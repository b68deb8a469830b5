"""What copies the logs, with logs and an archive that fail on command."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from hub.core.incarnations import began
from hub.core.migrations import SchemaRefused
from hub.errors import Unavailable
from hub.handlers.archiving import LATE, Archiving
from hub.handlers.clock import Clock
from hub.store.bucketlog import BucketLog, Log, LogPage, LogSpec
from hub.store.memoryarchive import MemoryArchive
from hub.store.ports import Entry, Logged, Mark
from hub.store.streams import CONFIG
from hub.transport.loops import unheard

FIRST, SECOND = "20260131T090211000000000Z", "20260201T090211000000000Z"
CREATED = "2026-01-31T09:02:12Z"
AWAY = Unavailable("PostgreSQL: cannot be reached (connection refused)")


@dataclass
class Lease:
    held: bool = True


@dataclass
class Logs:
    """Logs in memory, by their incarnation: revisions in the order of the log."""

    revisions: dict[str, list[int]] = field(default_factory=lambda: {FIRST: []})
    page: int = 3
    outage: Unavailable | None = None
    dropped: list[str] = field(default_factory=list)

    async def keep(self) -> list[Log]:
        if self.outage:
            raise self.outage
        names = sorted(self.revisions)
        return [
            Log(
                LogSpec(CONFIG, name, 60.0, 2**20),
                CREATED,
                1,
                len(self.revisions[name]),
                began(later) if later else None,
                is_active=True,
            )
            for name, later in zip(names, [*names[1:], ""], strict=True)
        ]

    async def read(self, log: Log, *, after: int) -> LogPage:
        revisions = self.revisions[log.incarnation][after : after + self.page]
        entries = [Logged(Entry("a", b"{}", revision), 1_000) for revision in revisions]
        sequence = after + len(revisions) if revisions else 0
        return LogPage(entries, sequence, after + self.page < len(self.revisions[log.incarnation]))

    async def drop(self, log: Log) -> None:
        self.dropped.append(log.incarnation)
        del self.revisions[log.incarnation]


class Bench:
    def __init__(self) -> None:
        self.logs, self.archive, self.lease, self.now = Logs(), MemoryArchive(), Lease(), 0.0
        self.archiving = Archiving(
            cast(BucketLog, self.logs), self.archive, self.lease, Clock(now=lambda: self.now), label="x"
        )

    async def round(self, *, seconds: float = 5.0) -> bool:
        self.now += seconds
        return await self.archiving._look(unheard) and await self.archiving._copy_all(unheard)

    async def archived(self, name: str = FIRST) -> list[int]:
        return [entry.revision for entry in (await self.archive.history(name, "a", limit=1000)).entries][::-1]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_the_leader_copies_page_by_page_to_the_end(bench: Bench) -> None:
    bench.logs.revisions[FIRST] = list(range(1, 11))
    assert await bench.round()
    assert await bench.archived() == list(range(1, 11))
    assert await bench.archive.mark(FIRST) == Mark(10, CREATED, 10)
    assert (bench.archiving.written, bench.archiving.lag[0]) == (10, 0)


async def test_who_does_not_lead_writes_nothing_and_knows_how_far_behind_the_archive_is(bench: Bench) -> None:
    bench.lease.held = False
    bench.logs.revisions[FIRST] = list(range(1, 11))
    assert await bench.round()
    assert (await bench.archived(), bench.archiving.lag[0]) == ([], 10)
    await bench.archive.append(FIRST, [], Mark(7, CREATED, 7))
    await bench.round()
    assert bench.archiving.lag[0] == 3


async def test_an_archive_that_was_emptied_is_filled_again(bench: Bench) -> None:
    bench.logs.revisions[FIRST] = list(range(1, 11))
    await bench.round()
    bench.archive = bench.archiving._archive = MemoryArchive()
    await bench.round()
    assert await bench.archived() == list(range(1, 11))


async def test_an_archive_that_is_away_is_told_of_and_nothing_is_passed_over(bench: Bench) -> None:
    bench.logs.revisions[FIRST] = [1, 2]
    await bench.round()
    bench.archive.outage = AWAY
    bench.logs.revisions[FIRST] += [3, 4, 5]
    assert not await bench.round()
    assert not await bench.round()
    status, reason = bench.archiving.condition
    assert (status, reason) == ("warning", f"the history cannot be archived: {AWAY.message}")
    assert bench.archiving.lag[0] == 3
    await bench.round(seconds=LATE + 1)
    assert "3 changes wait to be archived, for" in bench.archiving.condition.reason
    bench.archive.outage = None
    assert await bench.round()
    assert (await bench.archived(), bench.archiving.lag) == ([1, 2, 3, 4, 5], (0, 0.0))
    assert bench.archiving.condition.well


async def test_tables_that_are_refused_are_told_of(bench: Bench) -> None:
    bench.archive.outage = SchemaRefused("the tables are of version 9: run a newer hub")
    for _ in range(2):
        assert not await bench.round()
    assert "run a newer hub" in bench.archiving.condition.reason


async def test_a_log_that_cannot_be_made_is_told_of_and_what_there_is_is_copied(bench: Bench) -> None:
    bench.logs.revisions[FIRST] = [1]
    await bench.round()
    bench.logs.outage = Unavailable("the stream HUB_CONFIG_LOG_x cannot be created: insufficient storage")
    bench.logs.revisions[FIRST] += [2]
    for _ in range(2):
        assert await bench.round()
    assert "insufficient storage" in bench.archiving.condition.reason
    assert await bench.archived() == [1, 2]


async def test_revisions_that_were_gone_are_counted_and_those_of_the_beginning_are_none(bench: Bench) -> None:
    bench.logs.revisions[FIRST] = [40, 41, 44, 45]
    await bench.round()
    assert bench.archiving.missing == 2
    bench.logs.revisions[FIRST] += [50]
    await bench.round()
    assert bench.archiving.missing == 6
    assert bench.archiving.labelled()["hub_archive_missing_total"]() == {"x": 6}


async def test_an_earlier_log_is_copied_first_and_deleted_once_it_is_copied_to_its_end(bench: Bench) -> None:
    bench.logs.revisions = {FIRST: [1, 2, 3, 4], SECOND: [1]}
    bench.archive.outage = AWAY
    await bench.round()
    assert bench.logs.dropped == []
    bench.archive.outage = None
    bench.lease.held = False
    await bench.round()
    assert bench.logs.dropped == []
    bench.lease.held = True
    await bench.round()
    assert bench.logs.dropped == [FIRST]
    assert (await bench.archived(FIRST), await bench.archived(SECOND)) == ([1, 2, 3, 4], [1])
    bench.logs.revisions[SECOND] += [2]
    await bench.round()
    assert await bench.archived(SECOND) == [1, 2]
