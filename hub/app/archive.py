"""The hub's own PostgreSQL, where one is configured: what is kept there, and what there is without it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from nats.aio.client import Client

from hub.core.condition import WELL, Condition, together
from hub.handlers.archiving import Archiving, Lease
from hub.handlers.auditarchiving import AuditArchiving
from hub.handlers.clock import Clock
from hub.handlers.pacing import Pacing
from hub.settings import Settings
from hub.store.archived import ArchivedHistory
from hub.store.auditlog import AuditLog
from hub.store.bucketlog import BucketLog
from hub.store.ports import History
from hub.store.postgres import Database, PostgresArchive, PostgresAudit
from hub.store.streams import BucketSpec
from hub.transport.requests import Requester


class _Kept(NamedTuple):
    history: ArchivedHistory
    pacing: Pacing
    archiving: Archiving
    audit: PostgresAudit
    auditing: AuditArchiving


class ConfigArchive:
    """The history of the configuration: as far as the bucket keeps it, and in PostgreSQL where one is configured.

    The copy of the audit is there, too.

    Args:
        settings: Whether one is.
        client: The connection to NATS.
        requester: An open requester on it.
        bucket: The bucket of the configuration.
        kept: What the bucket itself keeps.
        audit: What is copied of the audit.
        lease: Its holder writes to PostgreSQL.
        clock: Where to read the time.
        stack: Where its connections are closed.

    Raises:
        StartupError: the driver of PostgreSQL is not installed.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        requester: Requester,
        bucket: BucketSpec,
        kept: History,
        audit: AuditLog,
        lease: Lease,
        clock: Clock,
        *,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        self._bucket_history = kept
        self._audit_stream = audit.stream
        self._kept: _Kept | None = None
        url, own = settings.platform.database_url, settings.archive
        if not url or not own.enabled:
            return
        database = Database(url, ca=settings.platform.tls_ca)
        stack.push_async_callback(database.aclose)
        archive = PostgresArchive(database, bucket.stream, own.schema)
        log = BucketLog(client, requester, bucket, max_age=own.log_max_age, max_bytes=own.log_max_bytes)
        copy = PostgresAudit(database, audit.stream, own.schema)
        self._kept = _Kept(
            ArchivedHistory(kept, log, archive),
            Pacing(log),
            Archiving(log, archive, lease, clock, label=bucket.name),
            copy,
            AuditArchiving(audit, copy, lease, clock),
        )

    @property
    def history(self) -> History:
        """What the configuration was, as far back as can be told."""
        return self._bucket_history if self._kept is None else self._kept.history

    @property
    def archiving(self) -> Archiving | None:
        """What fills PostgreSQL; None where none is configured."""
        return None if self._kept is None else self._kept.archiving

    @property
    def audit(self) -> PostgresAudit | None:
        """The copy of the audit; None where there is no PostgreSQL."""
        return None if self._kept is None else self._kept.audit

    @property
    def auditing(self) -> AuditArchiving | None:
        """What makes that copy."""
        return None if self._kept is None else self._kept.auditing

    async def admit(self, scopes: Collection[str], base: int) -> None:
        """See `Pacing.admit`."""
        if self._kept is not None:
            await self._kept.pacing.admit(scopes, base)

    def changed(self, scope: str, revision: int) -> None:
        """A scope has a new revision."""
        if self._kept is not None:
            self._kept.pacing.changed(scope, revision)

    def lost(self) -> None:
        """Changes may go unheard, or the bucket was made anew."""
        if self._kept is not None:
            self._kept.pacing.lost()
            self._kept.archiving.hurry()

    def synced(self) -> None:
        """All that is stored is known again."""
        if self._kept is not None:
            self._kept.pacing.synced()

    def condition(self) -> Condition:
        """Whether the history is kept in PostgreSQL as it should be."""
        kept = self._kept
        return WELL if kept is None else together((kept.archiving.condition, kept.auditing.condition))

    def labelled(self) -> dict[str, Callable[[], Mapping[str, float]]]:
        """Its metrics, by their name in the catalogue."""
        if self._kept is None:
            return {}
        own, copy, audit = self._kept.archiving.labelled(), self._kept.auditing, self._audit_stream
        more: dict[str, Callable[[], float]] = {
            "hub_archive_lag_messages": lambda: copy.lag[0],
            "hub_archive_lag_seconds": lambda: copy.lag[1],
            "hub_archive_written_total": lambda: copy.written,
            "hub_archive_missing_total": lambda: copy.missing,
        }
        return {name: _both(each, audit, more[name]) for name, each in own.items()}


def _both(
    config: Callable[[], Mapping[str, float]], stream: str, audit: Callable[[], float]
) -> Callable[[], Mapping[str, float]]:
    """A metric of both copies, by the stream that each is of."""
    return lambda: {**config(), stream: audit()}
