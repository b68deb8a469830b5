"""An archive in this process's memory: the twin of the real one, for tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from hub.errors import HubError
from hub.store.ports import Entry, Logged, Mark, Shelf


class MemoryArchive:
    """An `Archive` that is gone with its process.

    Attributes:
        outage: While set, every call raises it, as an archive does that is away.
    """

    def __init__(self) -> None:
        self._entries: defaultdict[str, dict[int, Entry]] = defaultdict(dict)
        self._marks: defaultdict[str, Mark] = defaultdict(Mark)
        self.outage: HubError | None = None

    async def open(self) -> None:
        """See `Archive.open`."""
        self._check()

    async def mark(self, incarnation: str) -> Mark:
        """See `Archive.mark`."""
        self._check()
        return self._marks[incarnation]

    async def append(self, incarnation: str, entries: Sequence[Logged], mark: Mark) -> None:
        """See `Archive.append`."""
        self._check()
        for one in entries:
            self._entries[incarnation].setdefault(one.entry.revision, one.entry)
        before = self._marks[incarnation]
        sequence = max(before.sequence, mark.sequence) if mark.log == before.log else mark.sequence
        self._marks[incarnation] = Mark(max(before.reached, mark.reached), mark.log, sequence)

    async def history(self, incarnation: str, key: str, *, before: int = 0, limit: int = 64) -> Shelf:
        """See `Archive.history`."""
        self._check()
        found = [
            entry
            for revision, entry in sorted(self._entries[incarnation].items(), reverse=True)
            if entry.key == key and (not before or revision < before)
        ]
        return Shelf(found[:limit], len(found) > limit, self._marks[incarnation])

    async def at(self, incarnation: str, key: str, revision: int) -> Entry | None:
        """See `Archive.at`."""
        self._check()
        entry = self._entries[incarnation].get(revision)
        return entry if entry is not None and entry.key == key else None

    def _check(self) -> None:
        if self.outage is not None:
            raise self.outage
