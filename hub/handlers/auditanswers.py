"""`hub.audit.search`, `.read`, `.archived` and `.head`: what the audit has, from NATS and from PostgreSQL."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, NamedTuple, Protocol

from hub.core.auditchain import SKEW, read_line
from hub.core.auditquery import matches
from hub.core.incarnations import incarnation
from hub.errors import HubError, InvalidRequest
from hub.handlers.clock import Clock
from hub.handlers.endpoint import Respond
from hub.store.api import StreamInfo
from hub.store.auditlog import AuditLog, Messages
from hub.store.ports import ArchivedEntry, AuditMessage
from hub.wire import subjects
from hub.wire.audit import (
    MAX_FOUND,
    ArchivedAuditPage,
    AuditEntry,
    AuditFound,
    AuditHead,
    AuditHeads,
    AuditPage,
    Head,
    ReadArchivedAudit,
    ReadAudit,
    SearchAudit,
    StoredAudit,
)
from hub.wire.codec import Decoder, encode

_FOUND: Final = 100
_PAGE: Final = 128
_PAGE_BYTES: Final = 512 * 1024
_PAGES: Final = 16
"""Pages that one search looks through at most; who wants more asks on."""
_ROWS: Final = 500


class Archive(Protocol):
    """What was copied into PostgreSQL."""

    async def rows(self, *, after: int, limit: int) -> list[ArchivedEntry]:
        """Entries behind a place, in their order."""

    async def search(
        self, query: SearchAudit, *, after: int, limit: int, incarnation: str, first: int
    ) -> list[ArchivedEntry]:
        """Entries as a query says, in their order; without those that the stream has from the sequence `first` on."""


class _Place(NamedTuple):
    """Where a search goes on: behind a row of PostgreSQL, or behind a line of a message in NATS."""

    row: int | None
    sequence: int = 0
    line: int = 0

    def __str__(self) -> str:
        return f"n{self.sequence}.{self.line}" if self.row is None else f"p{self.row}"


def _place(text: str) -> _Place | None:
    """The place that is written so; None for the beginning."""
    if not text:
        return None
    first, _, second = text[1:].partition(".")
    if text[0] == "p" and first.isdecimal() and not second and len(first) < 19:
        return _Place(int(first))
    if text[0] == "n" and first.isdecimal() and second.isdecimal() and len(first) < 19 and len(second) < 9:
        return _Place(None, int(first), int(second))
    raise InvalidRequest(f"after: expected what an answer said as `next`, got {text[:40]!r}", field="after")


class AuditAnswers:
    """Answers what the audit has.

    Args:
        log: The stream.
        archive: What PostgreSQL has; None where none is configured.
        clock: Where to read the time.
        max_bytes: The largest reply.

    Attributes:
        subjects: What it answers, and how.
    """

    def __init__(self, log: AuditLog, archive: Archive | None, clock: Clock, *, max_bytes: int) -> None:
        self._log = log
        self._archive = archive
        self._clock = clock
        self._max_bytes = max_bytes
        self._decode_search = Decoder(SearchAudit)
        self._decode_read = Decoder(ReadAudit)
        self._decode_archived = Decoder(ReadArchivedAudit)
        self._decode_head = Decoder(AuditHead)
        self.subjects: dict[str, Respond] = {
            subjects.AUDIT_SEARCH: self.search,
            subjects.AUDIT_READ: self.read,
            subjects.AUDIT_ARCHIVED: self.archived,
            subjects.AUDIT_HEAD: self.head,
        }

    def search(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `AuditFound`."""
        query = self._decode_search(payload)
        return self._search(query, _place(query.after))

    def read(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `AuditPage`."""
        return self._read(self._decode_read(payload))

    def archived(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ArchivedAuditPage`."""
        place = _place(self._decode_archived(payload).after)
        return self._archived(0 if place is None or place.row is None else place.row)

    def head(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `AuditHeads`."""
        self._decode_head(payload)
        return self._head()

    async def _head(self) -> bytes:
        info = await self._log.info()
        heads = {
            name: Head(number=entry.number, at=entry.at, hash=entry.hash)
            for name, entry in (await self._log.heads()).items()
        }
        return encode(AuditHeads(at=self._clock.wall(), sequence=info.state.last_seq, heads=heads))

    async def _read(self, request: ReadAudit) -> bytes:
        state = (await self._log.info()).state
        after = request.after
        if not after and request.newest:
            after = max(0, state.last_seq - request.newest)
        page = await self._log.read(after=after, most=_PAGE, size=min(_PAGE_BYTES, self._max_bytes // 2))
        room = self._max_bytes - 256
        told: list[StoredAudit] = []
        for message in page.messages:
            stored = _stored(message)
            room -= len(encode(stored)) + 1
            if room < 0 and told:
                break
            told.append(stored)
        more = page.more or len(told) < len(page.messages)
        return encode(
            AuditPage(
                messages=tuple(told),
                first=state.first_seq,
                last=max(state.last_seq, told[-1].sequence if told else 0),
                next=told[-1].sequence if told and more else None,
            )
        )

    async def _archived(self, after: int) -> bytes:
        if self._archive is None:
            return encode(ArchivedAuditPage(archived=False))
        rows = await self._archive.rows(after=after, limit=_ROWS)
        room = self._max_bytes - 256
        told: list[StoredAudit] = []
        for row in rows:
            stored = StoredAudit(sequence=row.sequence, stored=row.stored, chain=row.chain, lines=(row.line,))
            room -= len(encode(stored)) + 1
            if room < 0 and told:
                break
            told.append(stored)
        more = len(rows) == _ROWS or len(told) < len(rows)
        following = str(_Place(rows[len(told) - 1].row)) if told and more else None
        return encode(ArchivedAuditPage(archived=True, messages=tuple(told), next=following))

    # --- searching

    async def _search(self, query: SearchAudit, place: _Place | None) -> bytes:
        found = _Found(min(query.limit or _FOUND, MAX_FOUND), self._max_bytes - 256)
        complete = True
        if self._archive is not None and (place is None or place.row is not None):
            try:
                after = 0 if place is None or place.row is None else place.row
                following = await self._search_archive(self._archive, query, after, found)
                if following is not None:
                    return found.encoded(str(following), complete=True)
            except HubError:
                complete = False
            place = None
        following = await self._search_stream(query, place, found)
        return found.encoded(None if following is None else str(following), complete=complete)

    async def _search_archive(self, archive: Archive, query: SearchAudit, after: int, found: _Found) -> _Place | None:
        """Look through PostgreSQL; where to go on there, None where that is done."""
        info: StreamInfo = await self._log.info()
        wanted = found.room + 1
        rows = await archive.search(
            query, after=after, limit=wanted, incarnation=incarnation(info.created), first=info.state.first_seq
        )
        for row in rows:
            entry = read_line(row.line.encode())
            if entry is not None and not found.add(entry, len(row.line)):
                return _Place(after)
            after = row.row
        return None

    async def _search_stream(self, query: SearchAudit, place: _Place | None, found: _Found) -> _Place | None:
        """Look through the stream; where to go on there, None where that is done."""
        if place is None:
            begin = 0 if query.since is None else await self._log.since(query.since - SKEW)
            place = _Place(None, begin)
        after, skip = (place.sequence - 1, place.line) if place.line else (place.sequence, 0)
        for _ in range(_PAGES):
            page: Messages = await self._log.read(after=after, most=_PAGE, size=_PAGE_BYTES)
            for message in page.messages:
                begin = skip if message.sequence == place.sequence else 0
                for number, line in enumerate(message.lines[begin:], begin):
                    entry = read_line(line)
                    if entry is None or not matches(entry, query):
                        continue
                    if not found.add(entry, len(line)):
                        return _Place(None, message.sequence if number else message.sequence - 1, number)
                after = message.sequence
            if not page.more:
                return None
        return _Place(None, after)


class _Found:
    """What a search has found so far."""

    def __init__(self, limit: int, size: int) -> None:
        self.room = limit
        self._size = size
        self._entries: list[AuditEntry] = []

    def add(self, entry: AuditEntry, size: int) -> bool:
        """Add one, where there is room for it."""
        if self.room < 1 or (self._size < size and self._entries):
            return False
        self.room -= 1
        self._size -= size + 1
        self._entries.append(entry)
        return True

    def encoded(self, following: str | None, *, complete: bool) -> bytes:
        """The reply."""
        return encode(AuditFound(entries=tuple(self._entries), complete=complete, next=following))


def _stored(message: AuditMessage) -> StoredAudit:
    lines = tuple(line.decode(errors="replace") for line in message.lines)
    return StoredAudit(sequence=message.sequence, stored=message.stored, chain=message.chain, lines=lines)
