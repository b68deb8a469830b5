"""The hub's tables in a database: brought up to date when they are first needed, and after any trouble."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import structlog

from hub.core.migrations import Migration, SchemaRefused
from hub.errors import Unavailable
from hub.store.postgres.database import Database
from hub.store.postgres.migrating import migrate

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log = structlog.get_logger(__name__)

MIGRATE_WITHIN: Final = 10.0
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Tables:
    """The tables of one schema.

    Several may be used by one database, each for a part of them: where tables were gone and are made anew, whoever it
    was that found it, each hears of it before it writes on where it believes to be.

    Args:
        database: Where.
        schema: The schema that they are in.
    """

    def __init__(self, database: Database, schema: str) -> None:
        if not _SCHEMA.fullmatch(schema):
            raise ValueError(f"schema: expected a name of [a-z0-9_], got {schema!r}")
        self._database = database
        self._schema = schema
        self._is_open = False
        self._seen = 0

    async def open(self) -> None:
        """Return when they can be used.

        Raises:
            SchemaRefused: they are not those of this version.
            Unavailable: tables were made anew since the last call; what was known of them may hold no more.
        """
        if not self._is_open or self._database.trouble is not None:
            taken = await self._database.run(self._migrate, within=MIGRATE_WITHIN)
            self._database.made += bool(taken)
            if taken:
                log.info("tables brought up to date", schema=self._schema, steps=[step.name for step in taken])
        if self._is_open:
            self.check_seen()
        self._is_open, self._seen = True, self._database.made

    def check_seen(self) -> None:
        """Raise `Unavailable`, once, where tables were made anew since they were last seen here."""
        if self._seen != self._database.made:
            self._seen = self._database.made
            raise Unavailable("PostgreSQL: tables were made anew; looking again at what they have")

    def check(self) -> None:
        """Raise at once where it is known that they cannot be read."""
        if not self._is_open:
            raise self._database.trouble or Unavailable("PostgreSQL: not looked at yet")
        if self._database.trouble is not None:
            raise self._database.trouble

    async def _migrate(self, connection: PoolConnectionProxy[Any]) -> list[Migration]:
        try:
            return await migrate(connection, self._schema)
        except SchemaRefused as error:
            raise SchemaRefused(f"the schema {self._schema} in PostgreSQL: {error.message}") from None
