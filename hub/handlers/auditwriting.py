"""A chain of the audit on its way into the stream: sealed and written in the background, in order, each entry once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

import structlog

from hub.core.auditchain import Chain
from hub.core.condition import WELL, Condition, warning
from hub.core.thresholds import Recent
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.store.auditlog import Foreign
from hub.transport.loops import Beat
from hub.wire.audit import BEGIN, CHECKPOINT, END, LOST, AuditEntry, AuditKind, Head

log = structlog.get_logger(__name__)

CAPACITY: Final = 50_000
"""Entries that may wait; what happens then is counted, and that is told in an entry of its own."""
AT_ONCE: Final = 256
MESSAGE_BYTES: Final = 32 * 1024
LINGER: Final = 0.02
"""Seconds in which what happens is written together."""
ANCHORS: Final = 64
"""Other chains that an entry vouches for at most: those that wrote last."""
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 2.0
_TELLS_LOSS_FOR: Final = 600.0
_LATE: Final = 30.0
"""Seconds that an entry may wait before that is told."""


class Log(Protocol):
    """What is written to; see `hub.store.auditlog.AuditLog`."""

    async def append(self, chain: str, lines: list[bytes], name: str, *, after: int) -> int:
        """Write entries as one message, once."""

    async def heads(self, but: str = "") -> dict[str, AuditEntry]:
        """The newest entry of every other chain."""

    async def restore(self) -> None:
        """Make the stream exist."""


class _Waiting(NamedTuple):
    """An entry that is not sealed yet."""

    at: datetime
    kind: AuditKind
    told: dict[str, Any]


class _Batch(NamedTuple):
    """Entries that are sealed, and on their way."""

    name: str
    lines: list[bytes]


class AuditWriter:
    """Writes one chain, of what it is given.

    One message with many entries is under way at a time, so that a chain is stored in its order. One whose fate is not
    known is written again: the stream takes it only behind the one before.

    Args:
        stream: Where to write.
        hub_id: Which hub this is.
        clock: Where to read the time.
        on_round: Called before every look at what waits; may add to it.
        checkpoint: Seconds after which it vouches for what other chains have written meanwhile.
        capacity: Entries that may wait.

    Attributes:
        chain: The name of the chain.
        written: Entries that the stream has acknowledged.
        lost: Entries that were not and will not be written.
        foreign: Times that somebody else was found to have written to the chain, or it was gone.
        due: When it vouches for others the next time.
    """

    def __init__(
        self,
        stream: Log,
        hub_id: str,
        clock: Clock,
        on_round: Callable[[], None],
        *,
        checkpoint: float = 60.0,
        capacity: int = CAPACITY,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._on_round = on_round
        self._every = checkpoint
        self._capacity = capacity
        self.chain = f"{hub_id}-{clock.wall():%Y%m%dT%H%M%SZ}"
        self._sealer = Chain(self.chain)
        self._waiting: deque[_Waiting] = deque()
        self._sealed: _Batch | None = None
        self._stored = 0
        self._dropped = 0
        self._vouched: dict[str, Head] = {}
        self._stuck_since: float | None = None
        self._losses = Recent(_TELLS_LOSS_FOR)
        self._wake = asyncio.Event()
        self._begun = False
        self._trouble = ""
        self.due = 0.0
        self.written = 0
        self.lost = 0
        self.foreign = 0

    @property
    def waiting(self) -> int:
        """Entries that are not stored yet."""
        return len(self._waiting) + (0 if self._sealed is None else len(self._sealed.lines))

    @property
    def condition(self) -> Condition:
        """Whether it is kept as it should be."""
        now = self._clock.now()
        if self._losses.peak(now):
            return warning(f"the audit has lost entries: {self.lost} in all")
        if self._stuck_since is not None and now - self._stuck_since > _LATE:
            return warning(f"{self.waiting} entries of the audit cannot be written: {self._trouble}")
        return WELL

    def plain(self) -> dict[str, Callable[[], float]]:
        """The metrics, by their name in the catalogue."""
        return {
            "hub_audit_written_total": lambda: self.written,
            "hub_audit_lost_total": lambda: self.lost,
            "hub_audit_waiting": lambda: self.waiting,
            "hub_audit_foreign_total": lambda: self.foreign,
        }

    def add(self, at: datetime, kind: AuditKind, **told: Any) -> None:
        """Take an entry: `told` are fields of `AuditEntry`. Never blocks; counts what there is no room for."""
        self._append(_Waiting(at, kind, told))

    async def end(self, within: float) -> None:
        """Write what waits, and that the chain ends, within so many seconds; nothing else may write then.

        What remains is lost.
        """
        try:
            async with asyncio.timeout(within):
                await self._end()
        except TimeoutError:
            self.lost += self.waiting
            log.error("entries of the audit are lost", entries=self.waiting, reason=self._trouble or "not in time")
        self._waiting.clear()
        self._sealed = None

    async def run(self, beat: Beat) -> None:
        """Write, for ever."""
        wait = _FIRST_WAIT
        while True:
            beat()
            try:
                await self._begin()
                await self._wait(beat)
                await self._vouch()
                await self._write_all(beat)
                wait = _FIRST_WAIT
                self._stuck_since = None
                if self._trouble:
                    log.info("the audit is written again", waiting=self.waiting)
                    self._trouble = ""
            except HubError as error:
                self._note_trouble(error)
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
                with suppress(HubError):  # still away: the next attempt comes after a longer wait
                    await self._stream.restore()

    async def _wait(self, beat: Beat) -> None:
        """Return when there is something to write, or to vouch for."""
        while not self._waiting and self._sealed is None and self._clock.now() < self.due:
            beat()
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(1.0, self._every)):
                    await self._wake.wait()
            self._on_round()
            self._tell_loss()
        await asyncio.sleep(LINGER)  # what happens together is written together
        self._on_round()

    async def _begin(self) -> None:
        """Begin the chain, once, with what it knows of all others."""
        if not self._begun:
            heads = await self._heads()
            anchors = self._anchors(heads)
            self._waiting.appendleft(_Waiting(self._clock.wall(), BEGIN, {"anchors": anchors}))
            self._begun = True
            self.due = self._clock.now() + self._every

    async def _vouch(self) -> None:
        """From time to time, say what other chains have written. That they have vouched themselves is not worth it."""
        if self._clock.now() < self.due:
            return
        heads = await self._heads()
        self.due = self._clock.now() + self._every
        told = {
            name: head
            for name, head in heads.items()
            if head.kind not in (CHECKPOINT, BEGIN) and self._vouched.get(name) != _head(head)
        }
        if told:
            self._append(_Waiting(self._clock.wall(), CHECKPOINT, {"anchors": self._anchors(heads)}))

    async def _heads(self) -> dict[str, AuditEntry]:
        return await self._stream.heads(but=self.chain)

    def _anchors(self, heads: Mapping[str, AuditEntry]) -> dict[str, Head]:
        """Those to vouch for: what is new, the newest first."""
        new = [(name, entry) for name, entry in heads.items() if self._vouched.get(name) != _head(entry)]
        new.sort(key=lambda one: one[1].at, reverse=True)
        anchors = {name: _head(entry) for name, entry in new[:ANCHORS]}
        self._vouched = {name: _head(entry) for name, entry in heads.items()}
        return anchors

    async def _write_all(self, beat: Beat = lambda: None) -> None:
        """Write what waits, a message at a time.

        Raises:
            HubError: it cannot be written now.
        """
        while self._sealed is not None or self._waiting:
            if self._sealed is None:
                self._sealed = self._seal()
            batch = self._sealed
            if not batch.lines:
                self._sealed = None
                continue
            try:
                self._stored = await self._stream.append(self.chain, batch.lines, batch.name, after=self._stored)
            except Foreign as error:
                self.foreign += 1
                self._stored = error.sequence
                log.error("the audit is not as this hub has written it", chain=self.chain, reason=str(error))
                raise
            self._sealed = None
            self.written += len(batch.lines)
            beat()

    def _seal(self) -> _Batch:
        """Seal the oldest that wait: as many as one message takes."""
        first = 1 if self._sealer.head is None else self._sealer.head.number + 1
        lines: list[bytes] = []
        size = 0
        while self._waiting and len(lines) < AT_ONCE and size < MESSAGE_BYTES:
            at, kind, told = self._waiting.popleft()
            try:
                lines.append(self._sealer.seal(at, kind=kind, **told))
            except ValueError as error:  # a text that is none, as half a character is
                self.lost += 1
                log.error("an entry of the audit cannot be written", kind=kind, reason=str(error))
                continue
            size += len(lines[-1])
        return _Batch(f"{self.chain}:{first}", lines)

    def _note_trouble(self, error: HubError) -> None:
        if self._stuck_since is None:
            self._stuck_since = self._clock.now()
        if error.message != self._trouble:
            self._trouble = error.message
            log.warning("the audit cannot be written; trying again", reason=error.message, waiting=self.waiting)

    def _append(self, entry: _Waiting) -> None:
        if len(self._waiting) >= self._capacity:
            self.lost += 1
            self._dropped += 1
            self._losses.note(1.0, self._clock.now())
            return
        self._tell_loss()
        self._waiting.append(entry)
        self._wake.set()

    def _tell_loss(self) -> None:
        """In the place of those that were lost, say how many there were."""
        if self._dropped and len(self._waiting) < self._capacity:
            count, self._dropped = self._dropped, 0
            self._waiting.append(_Waiting(self._clock.wall(), LOST, {"count": count}))

    async def _end(self) -> None:
        """Write what waits, and then that the chain ends; try again where that fails."""
        ended = False
        while True:
            try:
                await self._begin()
                await self._write_all()
                if ended:
                    return
                self._append(_Waiting(self._clock.wall(), END, {"anchors": self._anchors(await self._heads())}))
                ended = True
            except HubError:
                await asyncio.sleep(_FIRST_WAIT)


def _head(entry: AuditEntry) -> Head:
    return Head(number=entry.number, at=entry.at, hash=entry.hash)
