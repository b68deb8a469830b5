"""The whole history of a bucket: what it still keeps, then what an archive has, and between them what its log has."""

from __future__ import annotations

from typing import Protocol

from hub.errors import HubError
from hub.store.ports import Archive, Entry, History, Mark, Past


class Log(Protocol):
    """What is on its way into the archive; see `BucketLog`."""

    async def incarnation(self) -> str:
        """The name of the bucket's present incarnation."""

    async def history(self, incarnation: str, key: str, *, after: Mark, before: int, limit: int) -> Past:
        """What it has of a key behind a mark, the newest first, and older than a revision."""


class ArchivedHistory:
    """A `History` that goes on where a bucket's own ends. The archive is asked only where the bucket has too little.

    Args:
        bucket: What the bucket keeps.
        log: What it has kept for the archive.
        archive: What was archived.
    """

    def __init__(self, bucket: History, log: Log, archive: Archive) -> None:
        self._bucket = bucket
        self._log = log
        self._archive = archive

    async def history(self, key: str, *, before: int = 0, limit: int = 64) -> Past:
        """See `History.history`. Not complete where the archive is away."""
        recent = await self._bucket.history(key, before=before, limit=limit)
        if len(recent.entries) >= limit:
            return recent._replace(more=True)
        if recent.entries:
            before = recent.entries[-1].revision
        try:
            older = await self._older(key, before, limit - len(recent.entries))
        except HubError:
            return recent._replace(complete=False)
        return older._replace(entries=recent.entries + older.entries)

    async def at(self, key: str, revision: int) -> Entry | None:
        """See `History.at`.

        Raises:
            HubError: the bucket does not keep it, and the archive, which may have it, cannot be read.
        """
        entry = await self._bucket.at(key, revision)
        if entry is not None:
            return entry
        incarnation = await self._log.incarnation()
        mark = await self._archive.mark(incarnation)
        entry = await self._archive.at(incarnation, key, revision)
        if entry is not None or revision <= mark.reached:
            return entry
        waiting = await self._log.history(incarnation, key, after=mark, before=revision + 1, limit=1)
        return next((entry for entry in waiting.entries if entry.revision == revision), None)

    async def _older(self, key: str, before: int, limit: int) -> Past:
        """What is older than the revision `before`, 0 for all: of the archive, and what that has not reached yet."""
        incarnation = await self._log.incarnation()
        shelf = await self._archive.history(incarnation, key, before=before, limit=limit)
        between = Past([])
        if not before or shelf.mark.reached < before - 1:
            between = await self._log.history(incarnation, key, after=shelf.mark, before=before, limit=limit)
        archived = [entry for entry in shelf.entries if entry.revision <= shelf.mark.reached]
        found = between.entries + archived
        return Past(found[:limit], shelf.more or between.more or len(found) > limit, between.complete)
