"""The hub's own PostgreSQL, where one is configured: what is kept there, and what there is without it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from nats.aio.client import Client

from hub.core.condition import WELL, Condition
from hub.handlers.archiving import Archiving, Lease
from hub.handlers.clock import Clock
from hub.handlers.pacing import Pacing
from hub.settings import Settings
from hub.store.archived import ArchivedHistory
from hub.store.bucketlog import BucketLog
from hub.store.ports import History
from hub.store.postgres import Database, PostgresArchive
from hub.store.streams import BucketSpec
from hub.transport.requests import Requester


class _Kept(NamedTuple):
    history: ArchivedHistory
    pacing: Pacing
    archiving: Archiving


class ConfigArchive:
    """The history of the configuration: as far as the bucket keeps it, and in PostgreSQL where one is configured.

    Args:
        settings: Whether one is.
        client: The connection to NATS.
        requester: An open requester on it.
        bucket: The bucket of the configuration.
        kept: What the bucket itself keeps.
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
        lease: Lease,
        clock: Clock,
        *,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        self._bucket_history = kept
        self._kept: _Kept | None = None
        url, own = settings.platform.database_url, settings.archive
        if not url or not own.enabled:
            return
        database = Database(url, ca=settings.platform.tls_ca)
        stack.push_async_callback(database.aclose)
        archive = PostgresArchive(database, bucket.stream, own.schema)
        log = BucketLog(client, requester, bucket, max_age=own.log_max_age, max_bytes=own.log_max_bytes)
        self._kept = _Kept(
            ArchivedHistory(kept, log, archive),
            Pacing(log),
            Archiving(log, archive, lease, clock, label=bucket.name),
        )

    @property
    def history(self) -> History:
        """What the configuration was, as far back as can be told."""
        return self._bucket_history if self._kept is None else self._kept.history

    @property
    def archiving(self) -> Archiving | None:
        """What fills PostgreSQL; None where none is configured."""
        return None if self._kept is None else self._kept.archiving

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
        return WELL if self._kept is None else self._kept.archiving.condition

    def labelled(self) -> dict[str, Callable[[], Mapping[str, float]]]:
        """Its metrics, by their name in the catalogue."""
        return {} if self._kept is None else self._kept.archiving.labelled()
