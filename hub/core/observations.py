"""Who was seen to discover whom of late: bounded, and forgotten when it is not seen again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice

PER_SOURCE = 64
MAX_EDGES = 20_000
MEMORY = 900.0
"""Seconds after which an edge that is not seen again is forgotten."""
REMIND = 60.0
"""Seconds after which an edge that is still seen is told again: often enough for others not to forget it."""


class Observations:
    """The observed edges, each with when it was last seen. What is too much pushes out what was not seen for longest.

    Times are monotonic seconds.

    Args:
        per_source: Edges remembered of one source.
        total: Edges remembered in all.
        memory: Seconds for which an edge is remembered.
    """

    def __init__(self, *, per_source: int = PER_SOURCE, total: int = MAX_EDGES, memory: float = MEMORY) -> None:
        self.version = 0
        """Moves when there is an edge more or less, not when a known one is seen again."""
        self._per_source = per_source
        self._total = total
        self._memory = memory
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._by_source: dict[str, OrderedDict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The edges as source and target, the one that was not seen for longest first."""
        return iter(self._seen)

    def see(self, source: str, target: str, now: float) -> None:
        """The source discovers the target. That a service looks for its own like is no dependency."""
        if source == target:
            return
        edge = source, target
        if edge in self._seen:
            self._seen.move_to_end(edge)
            self._by_source[source].move_to_end(target)
        else:
            targets = self._by_source.setdefault(source, OrderedDict())
            targets[target] = None
            if len(targets) > self._per_source:
                self._drop(source, next(iter(targets)))
            elif len(self._seen) >= self._total:
                self._drop(*next(iter(self._seen)))
            self.version += 1
        self._seen[edge] = now

    def forget(self, now: float) -> None:
        """Drop what was not seen for too long."""
        while self._seen:
            edge, seen = next(iter(self._seen.items()))
            if now - seen <= self._memory:
                return
            self._drop(*edge)
            self.version += 1

    def last_seen(self, source: str, target: str) -> float | None:
        """When the edge was last seen; None where it was not, or is forgotten."""
        return self._seen.get((source, target))

    def _drop(self, source: str, target: str) -> None:
        del self._seen[source, target]
        targets = self._by_source[source]
        del targets[target]
        if not targets:
            del self._by_source[source]


class Untold:
    """Edges seen here alone, which the other replicas are to be told: when they are new, and then once per `REMIND`."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], None] = {}
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()

    def see(self, source: str, target: str) -> None:
        """The source discovers the target. Of too many, those that come late wait to be seen again."""
        edge = source, target
        if edge not in self._told and len(self._waiting) < MAX_EDGES:
            self._waiting[edge] = None

    def due(self, now: float, limit: int) -> list[tuple[str, str]]:
        """Up to `limit` edges to tell now, those that have waited longest first. Counts as telling them."""
        while self._told and now - self._told[oldest := next(iter(self._told))] >= REMIND:
            del self._told[oldest]
        due = list(islice(self._waiting, limit))
        for edge in due:
            del self._waiting[edge]
            self._told[edge] = now
        return due
