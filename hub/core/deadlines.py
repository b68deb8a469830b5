"""One deadline for each of many keys, and which of them have passed."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

_SLACK = 64
"""Superseded heap entries that are not worth clearing away."""


class Deadlines:
    """A heap with lazy deletion: moving or dropping a deadline leaves its old entry behind, to be skipped later.

    When more than half of the heap is such leftovers it is built anew, so that it stays linear in the keys, however
    often deadlines move. Every operation is O(log n), amortised.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: object) -> bool:
        return key in self._due

    @property
    def footprint(self) -> int:
        """Entries in the heap, leftovers included."""
        return len(self._heap)

    def first(self) -> float | None:
        """The earliest deadline; None where there is none."""
        heap, due = self._heap, self._due
        while heap and due.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def set(self, key: str, due: float) -> None:
        """The key's deadline is `due` now, whatever it was."""
        if self._due.get(key) == due:
            return
        self._due[key] = due
        heappush(self._heap, (due, key))
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._heap = [(due, key) for key, due in self._due.items()]
            heapify(self._heap)

    def drop(self, key: str) -> None:
        """The key has no deadline any more."""
        self._due.pop(key, None)

    def pop_due(self, now: float, limit: int | None = None) -> list[str]:
        """Take out the keys whose deadline lies before `now`, earliest first, `limit` of them at most."""
        taken: list[str] = []
        heap, due = self._heap, self._due
        while heap and heap[0][0] < now and (limit is None or len(taken) < limit):
            when, key = heappop(heap)
            if due.get(key) == when:
                del due[key]
                taken.append(key)
        return taken
