"""The copy of the audit in PostgreSQL: every entry is a row, there exactly once, in the order of the stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from hub.core.auditchain import read_line
from hub.core.auditquery import NOBODY, OK, REFUSED
from hub.core.incarnations import began, moment
from hub.store.ports import ArchivedEntry, AuditMessage
from hub.store.postgres.database import Database
from hub.store.postgres.tables import Tables
from hub.wire.audit import SearchAudit

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log = structlog.get_logger(__name__)

WRITE_WITHIN: Final = 8.0
READ_WITHIN: Final = 3.0
_ENDLESS: Final = 2**63
_Row = tuple[str, int, int, datetime, datetime, str, str | None, str, str, str, str, str]


class PostgresAudit:
    """The table `audit` of a real PostgreSQL.

    Rows and how far they go are written in one transaction, of one hub at a time: the row of the feed is locked, so
    that `id` follows the order of the stream.

    Args:
        database: Where.
        stream: The stream that is copied.
        schema: The schema that the tables are in.
    """

    def __init__(self, database: Database, stream: str, schema: str) -> None:
        self._database = database
        self._stream = stream
        self._tables = Tables(database, schema)
        self._schema = schema

    async def open(self) -> None:
        """Return when it can be used: reached, and with its tables as they should be."""
        await self._tables.open()

    async def mark(self, incarnation: str) -> int:
        """Up to which sequence an incarnation of the stream was copied."""

        async def read(connection: PoolConnectionProxy[Any]) -> int:
            found = await connection.fetchval(_MARK.format(schema=self._schema), self._stream, incarnation)
            return int(found or 0)

        return await self._database.run(read, within=READ_WITHIN)

    async def append(self, incarnation: str, messages: Sequence[AuditMessage]) -> int:
        """Take messages, all or none, and that the stream was copied up to the last of them. Returns how many entries.

        What it has already stays as it is. What is no entry of its chain is passed over: a verification tells of it.
        """
        rows = [row for message in messages for row in _rows(message)]

        async def write(connection: PoolConnectionProxy[Any]) -> None:
            self._tables.check_seen()
            async with connection.transaction():
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '10s'")  # we may be killed
                since = moment(began(incarnation))
                await connection.execute(_JOIN.format(schema=self._schema), self._stream, incarnation, since)
                feed = await connection.fetchval(_FEED.format(schema=self._schema), self._stream, incarnation)
                await connection.execute(_MOVE.format(schema=self._schema), feed, messages[-1].sequence)
                if rows:
                    columns = map(list, zip(*rows, strict=True))
                    await connection.execute(_INSERT.format(schema=self._schema), feed, *columns)

        await self._database.run(write, within=WRITE_WITHIN)
        return len(rows)

    async def rows(self, *, after: int, limit: int) -> list[ArchivedEntry]:
        """Entries behind a row, in their order."""
        self._tables.check()

        async def read(connection: PoolConnectionProxy[Any]) -> list[ArchivedEntry]:
            found = await connection.fetch(_ROWS.format(schema=self._schema), after, limit)
            return [ArchivedEntry(*row) for row in found]

        return await self._database.run(read, within=READ_WITHIN)

    async def search(
        self, query: SearchAudit, *, after: int, limit: int, incarnation: str, first: int
    ) -> list[ArchivedEntry]:
        """Entries as a query says, in their order; without those that the stream has from the sequence `first` on."""
        self._tables.check()
        where, values = _conditions(query)
        own = f"(SELECT id FROM {self._schema}.feeds WHERE stream = $3 AND incarnation = $4)"
        text = (
            f"SELECT id, sequence, stored, chain, entry FROM {self._schema}.audit "
            f"WHERE id > $1 AND NOT (sequence >= $5 AND feed IS NOT DISTINCT FROM {own}) {where} ORDER BY id LIMIT $2"
        )

        async def read(connection: PoolConnectionProxy[Any]) -> list[ArchivedEntry]:
            found = await connection.fetch(text, after, limit, self._stream, incarnation, first, *values)
            return [ArchivedEntry(*row) for row in found]

        return await self._database.run(read, within=READ_WITHIN)


def _rows(message: AuditMessage) -> list[_Row]:
    found: list[_Row] = []
    for line in message.lines:
        entry = read_line(line)
        if entry is None or entry.chain != message.chain or entry.number >= _ENDLESS:
            log.warning("what is no entry of the audit is not archived", chain=message.chain, sequence=message.sequence)
            continue
        found.append(
            (
                entry.chain,
                entry.number,
                message.sequence,
                message.stored,
                entry.at,
                entry.kind,
                None if entry.caller is None else _text(entry.caller),
                _text(entry.host),
                _text(entry.subject),
                _text(entry.target),
                _text(entry.outcome),
                line.decode(errors="replace"),
            )
        )
    return found


def _text(value: str) -> str:
    """The text as PostgreSQL takes it: without NUL."""
    return value.replace("\0", "\ufffd")


def _conditions(query: SearchAudit) -> tuple[str, list[Any]]:
    """What a query asks for in SQL, from the parameter `$6` on; the same as `hub.core.auditquery` says."""
    parts: list[str] = []
    values: list[Any] = []

    def add(text: str, value: object) -> None:
        values.append(value)
        parts.append(text.format(f"${len(values) + 5}"))

    if query.caller == NOBODY:
        parts.append("caller IS NULL")
    elif query.caller:
        _like(add, "caller", query.caller)
    if query.host:
        add("host = {}", _text(query.host))
    for column in ("subject", "target"):
        if wanted := getattr(query, column):
            _like(add, column, wanted)
    if query.outcome == REFUSED:
        parts.append(f"outcome NOT IN ('', '{OK}')")
    elif query.outcome:
        add("outcome = {}", _text(query.outcome))
    if query.since is not None:
        add("at >= {}", query.since)
    if query.until is not None:
        add("at < {}", query.until)
    return "".join(f"AND {part} " for part in parts), values


def _like(add: Any, column: str, wanted: str) -> None:
    if wanted.endswith("*"):
        add(f"starts_with({column}, {{}})", _text(wanted[:-1]))
    else:
        add(f"{column} = {{}}", _text(wanted))


_MARK: Final = "SELECT sequence FROM {schema}.feeds WHERE stream = $1 AND incarnation = $2"
_JOIN: Final = """
INSERT INTO {schema}.feeds (stream, incarnation, began) VALUES ($1, $2, $3) ON CONFLICT (stream, incarnation) DO NOTHING
"""
_FEED: Final = "SELECT id FROM {schema}.feeds WHERE stream = $1 AND incarnation = $2 FOR UPDATE"
_MOVE: Final = """
UPDATE {schema}.feeds SET reached = greatest(reached, $2), sequence = greatest(sequence, $2), written = now()
WHERE id = $1
"""
_INSERT: Final = """
INSERT INTO {schema}.audit
    (feed, chain, number, sequence, stored, at, kind, caller, host, subject, target, outcome, entry)
SELECT $1, chain, number, sequence, stored, at, kind, caller, host, subject, target, outcome, entry
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[]) WITH ORDINALITY
    AS one (chain, number, sequence, stored, at, kind, caller, host, subject, target, outcome, entry, place)
ORDER BY place
ON CONFLICT (chain, number) DO NOTHING
"""
_ROWS: Final = "SELECT id, sequence, stored, chain, entry FROM {schema}.audit WHERE id > $1 ORDER BY id LIMIT $2"
