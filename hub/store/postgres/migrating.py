"""Bringing the hub's tables up to date: numbered SQL, taken in one transaction by whichever hub comes first."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hub.core.migrations import Migration, pending

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_LOCK: Final = 0x6875625F7461626C
"""Of all hubs on a database, one at a time looks after the tables: the number of the advisory lock (`hub_tabl`)."""
_FILE: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOG: Final = """
CREATE TABLE schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    taken timestamptz NOT NULL DEFAULT now()
)
"""


class Step(NamedTuple):
    """A migration, and its statements."""

    migration: Migration
    sql: str


@cache
def steps() -> tuple[Step, ...]:
    """Every migration of this version, in order."""
    found: list[Step] = []
    for file in sorted(files(__package__).joinpath("migrations").iterdir(), key=lambda file: file.name):
        if named := _FILE.fullmatch(file.name):
            sql = file.read_text(encoding="utf-8")
            migration = Migration(int(named[1]), named[2], hashlib.sha256(sql.encode()).hexdigest())
            found.append(Step(migration, sql))
    return tuple(found)


async def migrate(connection: PoolConnectionProxy[Any], schema: str) -> list[Migration]:
    """Take the steps that are still to be taken, all or none, and return them.

    Safe to call from many processes at once: an advisory lock, which ends with the transaction, lets one in at a time.

    Args:
        connection: Open, and in no transaction.
        schema: Where the tables are; it is made when missing.

    Raises:
        SchemaRefused: the tables are not those that this version knows.
        asyncpg.PostgresError: a statement fails; nothing was changed.
    """
    known = steps()
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if await connection.fetchval("SELECT to_regnamespace($1)", schema) is None:
            await connection.execute(f"CREATE SCHEMA {schema}")
        await connection.execute(f"SET LOCAL search_path TO {schema}")
        if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.schema_migrations") is None:
            await connection.execute(_LOG)
        rows = await connection.fetch("SELECT number, name, checksum FROM schema_migrations ORDER BY number")
        todo = pending([step.migration for step in known], [Migration(*row) for row in rows])
        for step in known[len(known) - len(todo) :]:
            await connection.execute(step.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)", *step.migration
            )
    return list(todo)
