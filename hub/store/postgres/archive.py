"""The archive of the configuration in PostgreSQL: every revision is a row, there exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog

from hub.core.incarnations import began, moment
from hub.store.ports import Entry, Logged, Mark, Shelf
from hub.store.postgres.database import Database, ValueRefused
from hub.store.postgres.rows import Row, entry_of, row_of
from hub.store.postgres.tables import Tables

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log = structlog.get_logger(__name__)

WRITE_WITHIN: Final = 8.0
READ_WITHIN: Final = 1.5
_AT_ONCE: Final = 100
_BYTES: Final = 4 * 1024 * 1024
"""After so many bytes no more rows are read for one answer."""
_ENDLESS: Final = 2**63


class PostgresArchive:
    """The `Archive` of a real PostgreSQL.

    Rows and how far they go are written in one transaction, so that whoever writes on, after whatever has happened, a
    restored database included, begins with the first that is missing. While the database is known to be away, reads
    fail at once.

    Args:
        database: Where.
        stream: Of which stream the entries are.
        schema: The schema that the tables are in.
    """

    def __init__(self, database: Database, stream: str, schema: str) -> None:
        self._database = database
        self._stream = stream
        self._schema = schema
        self._tables = Tables(database, schema)
        self._history_sql = _HISTORY.format(schema=schema)
        self._at_sql = _AT.format(schema=schema)
        self._mark_sql = _MARK.format(schema=schema)

    async def open(self) -> None:
        """See `Archive.open`: the first time, and after any trouble, bring the tables up to date."""
        await self._tables.open()

    async def mark(self, incarnation: str) -> Mark:
        """See `Archive.mark`."""

        async def read(connection: PoolConnectionProxy[Any]) -> Mark:
            return await self._mark(connection, incarnation)

        return await self._database.run(read, within=READ_WITHIN)

    async def append(self, incarnation: str, entries: Sequence[Logged], mark: Mark) -> None:
        """See `Archive.append`."""
        rows = [row_of(one) for one in entries]
        try:
            await self._append(incarnation, rows, mark)
        except ValueRefused:
            await self._append_singly(incarnation, rows, mark)

    async def history(self, incarnation: str, key: str, *, before: int = 0, limit: int = 64) -> Shelf:
        """See `Archive.history`."""
        self._tables.check()

        async def read(connection: PoolConnectionProxy[Any]) -> Shelf:
            mark = await self._mark(connection, incarnation)  # first, so that no row up to there is missed
            return await self._history(connection, incarnation, key, before or _ENDLESS - 1, limit, mark)

        return await self._database.run(read, within=READ_WITHIN)

    async def at(self, incarnation: str, key: str, revision: int) -> Entry | None:
        """See `Archive.at`."""
        self._tables.check()
        if not 1 <= revision < _ENDLESS:
            return None

        async def read(connection: PoolConnectionProxy[Any]) -> Entry | None:
            row = await connection.fetchrow(self._at_sql, self._stream, incarnation, key, revision)
            return None if row is None else entry_of(key, revision, row[0], row[1])

        return await self._database.run(read, within=READ_WITHIN)

    async def _append(self, incarnation: str, rows: Sequence[Row], mark: Mark | None) -> None:
        schema = self._schema

        async def write(connection: PoolConnectionProxy[Any]) -> None:
            self._tables.check_seen()
            async with connection.transaction():
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '10s'")  # we may be killed
                since = moment(began(incarnation))
                await connection.execute(_JOIN.format(schema=schema), self._stream, incarnation, since)
                feed = await connection.fetchval(_FEED.format(schema=schema), self._stream, incarnation)
                if mark is not None:
                    await connection.execute(_MOVE.format(schema=schema), feed, *mark)
                if rows:
                    await connection.execute(_INSERT.format(schema=schema), feed, *map(list, zip(*rows, strict=True)))

        await self._database.run(write, within=WRITE_WITHIN)

    async def _append_singly(self, incarnation: str, rows: Sequence[Row], mark: Mark) -> None:
        """One by one, lest a value that is not taken keeps the others out, or itself."""
        for row in rows:
            try:
                await self._append(incarnation, [row], None)
            except ValueRefused as error:
                log.warning("stored uninterpreted", scope=row.scope, revision=row.revision, reason=error.message)
                await self._append(incarnation, [row.uninterpreted()], None)
        await self._append(incarnation, [], mark)

    async def _mark(self, connection: PoolConnectionProxy[Any], incarnation: str) -> Mark:
        row = await connection.fetchrow(self._mark_sql, self._stream, incarnation)
        return Mark() if row is None else Mark(*row)

    async def _history(
        self, connection: PoolConnectionProxy[Any], incarnation: str, key: str, before: int, limit: int, mark: Mark
    ) -> Shelf:
        entries: list[Entry] = []
        size = 0
        while len(entries) <= limit and size < _BYTES:
            asked = min(_AT_ONCE, limit + 1 - len(entries))
            rows = await connection.fetch(self._history_sql, self._stream, incarnation, key, before, asked)
            for revision, record, raw in rows:
                entries.append(entry_of(key, revision, record, raw))
                size += len(record or raw or b"")
                before = revision
            if len(rows) < asked:
                return Shelf(entries[:limit], len(entries) > limit, mark)
        return Shelf(entries[:limit], True, mark)


_MARK: Final = "SELECT reached, log, sequence FROM {schema}.feeds WHERE stream = $1 AND incarnation = $2"
_JOIN: Final = """
INSERT INTO {schema}.feeds (stream, incarnation, began) VALUES ($1, $2, $3) ON CONFLICT (stream, incarnation) DO NOTHING
"""
_FEED: Final = "SELECT id FROM {schema}.feeds WHERE stream = $1 AND incarnation = $2 FOR UPDATE"
_MOVE: Final = """
UPDATE {schema}.feeds SET reached = greatest(reached, $2), log = $3, written = now(),
    sequence = CASE WHEN log = $3 THEN greatest(sequence, $4) ELSE $4 END
WHERE id = $1
"""
_INSERT: Final = """
INSERT INTO {schema}.config_history (feed, revision, scope, changed, kind, author, reason, record, raw)
SELECT $1, revision, scope, changed, kind, author, reason, record::json, raw
FROM unnest($2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[])
    AS one (revision, scope, changed, kind, author, reason, record, raw)
ON CONFLICT (feed, revision) DO NOTHING
"""
_HISTORY: Final = """
SELECT revision, record::text, raw FROM {schema}.config_history
WHERE feed = (SELECT id FROM {schema}.feeds WHERE stream = $1 AND incarnation = $2) AND scope = $3 AND revision < $4
ORDER BY revision DESC LIMIT $5
"""
_AT: Final = """
SELECT record::text, raw FROM {schema}.config_history
WHERE feed = (SELECT id FROM {schema}.feeds WHERE stream = $1 AND incarnation = $2) AND scope = $3 AND revision = $4
"""
