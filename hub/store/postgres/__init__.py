"""The hub's own tables in PostgreSQL. Nothing else knows its driver, but for the probe that logs in."""

from hub.store.postgres.archive import PostgresArchive as PostgresArchive
from hub.store.postgres.audit import PostgresAudit as PostgresAudit
from hub.store.postgres.database import Database as Database
