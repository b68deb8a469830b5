"""The audit on its way from NATS into PostgreSQL: off every request's path, in batches, each entry once."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

from hub.core.condition import WELL, Condition, together, warning
from hub.core.incarnations import incarnation
from hub.core.lag import Lag
from hub.core.thresholds import Settled
from hub.errors import HubError
from hub.handlers.archiving import LATE, POLL, Lease
from hub.handlers.clock import Clock
from hub.store.auditlog import AuditLog
from hub.store.ports import AuditMessage
from hub.transport.loops import Beat

log = structlog.get_logger(__name__)

_MOST: Final = 256
_BYTES: Final = 1024 * 1024
_LOOK: Final = 2.0
"""Seconds between two looks of those who do not write at how far it has come."""
_LONGEST_WAIT: Final = 5.0


class Archive(Protocol):
    """Where to."""

    async def open(self) -> None:
        """Return when it can be used."""

    async def mark(self, incarnation: str) -> int:
        """Up to which sequence it has come."""

    async def append(self, incarnation: str, messages: list[AuditMessage]) -> int:
        """Take messages, all or none."""


class AuditArchiving:
    """Copies the stream of the audit.

    The leader writes; that another may believe to lead for a moment does no harm, since an entry is taken once. Where
    to go on is what PostgreSQL itself says, so that nothing is missed after a crash, nor by a database that was emptied
    or restored, as far as the stream reaches back. Every hub knows how far behind it is.

    Args:
        source: The stream.
        archive: Where to.
        lease: Its holder writes.
        clock: Where to read the time.

    Attributes:
        written: Entries that this hub has written.
        missing: Messages that were gone when this hub came to write them.
    """

    def __init__(self, source: AuditLog, archive: Archive, lease: Lease, clock: Clock) -> None:
        self._source = source
        self._archive = archive
        self._lease = lease
        self._clock = clock
        self._mark: tuple[str, int] | None = None
        self._due = 0.0
        self._lag = Lag()
        self._trouble = Settled()
        self._told = ""
        self.written = 0
        self.missing = 0

    @property
    def lag(self) -> tuple[int, float]:
        """How many messages are not archived yet, and for how many seconds the oldest of them has waited."""
        return self._lag.messages, self._lag.seconds(self._clock.now())

    @property
    def condition(self) -> Condition:
        """Whether the audit is copied as it should be."""
        messages, waited = self.lag
        words = f"{messages} messages of the audit wait to be archived, for {waited:.0f} s"
        return together([self._trouble.condition or WELL, warning(words) if waited > LATE else WELL])

    async def run(self, beat: Beat) -> None:
        """Copy, for ever."""
        wait = POLL
        while True:
            beat()
            try:
                await self._archive.open()
                beat()
                await self._copy(beat)
            except HubError as error:
                self._mark = None
                self._trouble.take(warning(f"the audit cannot be archived: {error.message}"))
                if error.message != self._told:
                    self._told = error.message
                    log.warning("the audit cannot be archived; trying again", reason=error.message)
                wait = min(2 * wait, _LONGEST_WAIT)
            else:
                self._trouble.take(WELL)
                if self._told:
                    self._told = ""
                    log.info("the audit is archived again")
                wait = POLL
            await asyncio.sleep(wait)

    async def _copy(self, beat: Beat) -> None:
        """Copy what is new."""
        info = await self._source.info()
        name = incarnation(info.created)
        now = self._clock.now()
        if self._mark is None or self._mark[0] != name or (not self._lease.held and now >= self._due):
            self._mark, self._due = (name, await self._archive.mark(name)), now + _LOOK
        beat()
        _, after = self._mark
        self._lag.note(info.state.last_seq, max(after, info.state.first_seq - 1), self._clock.now())
        more = info.state.last_seq > after
        while more and self._lease.held:
            page = await self._source.read(after=after, most=_MOST, size=_BYTES)
            beat()
            if not page.messages:
                break
            if after and (first := page.messages[0].sequence) > after + 1:
                self.missing += first - after - 1
                log.error("messages of the audit were gone before they were archived", first=after + 1, last=first - 1)
            self.written += await self._archive.append(name, page.messages)
            beat()
            after, more = page.messages[-1].sequence, page.more
            self._mark = name, after
        self._lag.note(info.state.last_seq, max(after, info.state.first_seq - 1), self._clock.now())
