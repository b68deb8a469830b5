"""The history of the configuration on its way into the archive: off every request's path, in batches, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

import structlog

from hub.core.condition import WELL, Condition, together, warning
from hub.core.lag import Lag, gaps
from hub.core.thresholds import Settled
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.store.bucketlog import BucketLog, Log
from hub.store.ports import Archive, Mark
from hub.transport.loops import BOUND, Beat

log = structlog.get_logger(__name__)

POLL: Final = 0.5
"""Seconds between two looks for what is new: what comes meanwhile is written together."""
_LOOK: Final = 2.0
"""Seconds between two looks at which logs there are, and how far the archive has come."""
_BEGINS_WITHIN: Final = 5.0
_LONGEST_WAIT: Final = 5.0
LATE: Final = 60.0
"""Seconds that a change may wait for the archive before that is told."""
DEADLINE: Final = BOUND + 15.0
"""Seconds after which the loop counts as stuck: longer than all that it may wait for in one go."""


class Lease(Protocol):
    """Whether this hub is the one that writes."""

    @property
    def held(self) -> bool:
        """At this very moment."""


class Archiving:
    """Copies the logs of the configuration into the archive.

    The leader writes; that another may believe to lead for a moment does no harm, since the archive takes each revision
    once. Where to go on is what the archive itself says, so that nothing is missed after a crash, nor by an archive
    that was emptied, restored or replaced, as far as the log reaches back. Every hub makes sure that there is a log,
    and knows how far behind the archive is.

    Args:
        source: The logs.
        archive: Where to.
        lease: Its holder writes.
        clock: Where to read the time.
        label: What the metrics call the stream that is copied.

    Attributes:
        written: Revisions that this hub has written.
        missing: Revisions that were gone when this hub came to write them.
    """

    def __init__(self, source: BucketLog, archive: Archive, lease: Lease, clock: Clock, *, label: str) -> None:
        self._source = source
        self._archive = archive
        self._lease = lease
        self._clock = clock
        self._label = label
        self._logs: list[Log] = []
        self._marks: dict[str, Mark] = {}
        self._asked: set[str] = set()
        self._lags: dict[str, Lag] = {}
        self._due = 0.0
        self._wake = asyncio.Event()
        self._source_trouble = Settled()
        self._archive_trouble = Settled()
        self._told: dict[str, str] = {}
        self.missing = 0
        self.written = 0

    @property
    def lag(self) -> tuple[int, float]:
        """How many changes are not archived yet, and for how many seconds the oldest of them has waited."""
        now = self._clock.now()
        messages = sum(lag.messages for lag in self._lags.values())
        return messages, max((lag.seconds(now) for lag in self._lags.values()), default=0.0)

    @property
    def condition(self) -> Condition:
        """Whether the history is kept as it should be."""
        messages, waited = self.lag
        late = warning(f"{messages} changes wait to be archived, for {waited:.0f} s") if waited > LATE else WELL
        troubles = (self._source_trouble.condition or WELL, self._archive_trouble.condition or WELL)
        return together([*troubles, late])

    def labelled(self) -> dict[str, Callable[[], Mapping[str, float]]]:
        """The metrics, by their name in the catalogue."""
        return {
            "hub_archive_lag_messages": lambda: {self._label: self.lag[0]},
            "hub_archive_lag_seconds": lambda: {self._label: self.lag[1]},
            "hub_archive_written_total": lambda: {self._label: self.written},
            "hub_archive_missing_total": lambda: {self._label: self.missing},
        }

    def hurry(self) -> None:
        """The bucket was made anew: make sure at once that it has a log."""
        self._due = 0.0
        self._wake.set()

    async def begin(self) -> None:
        """Return once the log takes up what is stored, so that nothing that is changed from then on is missed.

        Where that does not come to pass within a few seconds the hub goes on, and tries on.
        """
        try:
            async with asyncio.timeout(_BEGINS_WITHIN):
                await self._source.begin()
        except HubError as error:
            self._tell("source", error)
        except TimeoutError:
            log.warning("the log of the configuration does not begin; trying on", within=_BEGINS_WITHIN)

    async def run(self, beat: Beat) -> None:
        """Copy, for ever."""
        wait = POLL
        while True:
            beat()
            well = await self._look(beat) and await self._copy_all(beat)
            wait = POLL if well else min(2 * wait, _LONGEST_WAIT)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self._wake.clear()

    # --- the logs

    async def _look(self, beat: Beat) -> bool:
        """Look which logs there are, from time to time; one is made where it is missing. Whether there are any."""
        now = self._clock.now()
        if now < self._due and self._logs:
            return True
        try:
            self._logs = await self._source.keep()
        except HubError as error:
            self._source_trouble.take(warning(f"the log of the configuration: {error.message}"))
            self._tell("source", error)
        else:
            self._source_trouble.take(WELL)
            self._told.pop("source", None)
            self._asked.clear()
            self._due = now + _LOOK
        beat()
        self._note()
        return bool(self._logs)

    def _note(self) -> None:
        """How far the archive is behind each log."""
        now = self._clock.now()
        self._lags = {each.incarnation: self._lags.get(each.incarnation) or Lag() for each in self._logs}
        for each in self._logs:
            copied = max(each.read_upto(self._marks.get(each.incarnation, Mark())), each.first - 1)
            self._lags[each.incarnation].note(each.last, copied, now)

    # --- the archive

    async def _copy_all(self, beat: Beat) -> bool:
        """Copy what is new of every log, the oldest first. Whether that worked."""
        try:
            await self._archive.open()
            for each in list(self._logs):
                beat()
                await self._copy(each, beat)
        except HubError as error:
            self._archive_trouble.take(warning(f"the history cannot be archived: {error.message}"))
            self._asked.clear()
            self._note()
            self._tell("archive", error)
            return False
        self._archive_trouble.take(WELL)
        if self._told.pop("archive", None):
            log.info("the history is archived again")
        self._note()
        return True

    async def _copy(self, each: Log, beat: Beat) -> None:
        """Copy what is new of one log, and delete it where that was the last of it."""
        name = each.incarnation
        if name not in self._asked:
            self._marks[name] = await self._archive.mark(name)
            self._asked.add(name)
        more = True
        while more and self._lease.held:
            before = self._marks[name]
            page = await self._source.read(each, after=each.read_upto(before))
            beat()
            more = page.more
            if page.sequence:
                revisions = [one.entry.revision for one in page.entries]
                mark = Mark(max(before.reached, *revisions, 0), each.created, page.sequence)
                await self._archive.append(name, page.entries, mark)
                beat()
                self._marks[name] = mark
                self.written += len(revisions)
                self._tell_of_gaps(each, before.reached, revisions)
        if not each.is_present and each.read_upto(self._marks[name]) >= each.last and self._lease.held:
            await self._source.drop(each)
            self._logs.remove(each)
            log.info("the log of an earlier bucket is archived to its end", log=each.spec.stream)

    def _tell_of_gaps(self, each: Log, reached: int, revisions: list[int]) -> None:
        for first, last in gaps(reached, revisions):
            self.missing += last - first + 1
            log.error("revisions were gone before they were archived", log=each.spec.stream, first=first, last=last)

    def _tell(self, part: str, error: HubError) -> None:
        """Say once what is wrong, for as long as it is."""
        if error.message != self._told.get(part):
            self._told[part] = error.message
            log.warning("the history cannot be archived; trying again", reason=error.message)
