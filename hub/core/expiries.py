"""Connections that are let in for a while only, and whose time is up; and when to look at all of them again."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import ceil, inf
from typing import Final, NamedTuple

ROUND: Final = 60.0
"""Seconds after which all connections are looked at again, since the events of single ones may be missed."""
SECOND_LOOK: Final = 1.0
"""Seconds after a look for something revoked until another one: who was just being let in comes into view."""
_MOMENT: Final = 0.25
MAX_EXPIRING: Final = 200_000
"""Connections remembered by their ends; those beyond are found by the next round."""


class Place(NamedTuple):
    """Where a connection is: its id is unique on its server, and not given again."""

    server: str
    cid: int


class Expiries:
    """When connections end. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._ends: dict[Place, float] = {}
        self._heap: list[tuple[float, Place]] = []

    def __len__(self) -> int:
        return len(self._ends)

    def expect(self, place: Place, at: float) -> None:
        """A connection ends then."""
        if self._ends.get(place) == at or (place not in self._ends and len(self._ends) >= MAX_EXPIRING):
            return
        self._ends[place] = at
        heappush(self._heap, (at, place))

    def gone(self, place: Place) -> None:
        """A connection is there no more."""
        if self._ends.pop(place, None) is not None and len(self._heap) > 2 * len(self._ends) + 64:
            self._heap = [(at, place) for place, at in self._ends.items()]
            heapify(self._heap)

    def known(self) -> frozenset[Place]:
        """All that are remembered."""
        return frozenset(self._ends)

    def due(self, now: float) -> list[Place]:
        """Those whose time is up, which are then forgotten."""
        due: list[Place] = []
        while self._heap and self._heap[0][0] <= now:
            at, place = heappop(self._heap)
            if self._ends.get(place) == at:
                del self._ends[place]
                due.append(place)
        return due

    def next(self) -> float | None:
        """When the next one ends, or earlier; None where none does."""
        return self._heap[0][0] if self._heap else None


class Looks:
    """When to look at all connections. Times are those of a clock that only goes forward."""

    def __init__(self, now: float) -> None:
        self._wanted = [now]

    def want(self, at: float) -> None:
        """Something ends then that may be any connection's. What ends in the same moment is one look."""
        at = ceil(at / _MOMENT) * _MOMENT
        if at not in self._wanted:
            heappush(self._wanted, at)

    def changed(self, now: float) -> None:
        """Something was revoked: look now, and once more for who was just being let in."""
        if self.next() > now:
            heappush(self._wanted, now)
        self.want(now + SECOND_LOOK)

    def due(self, now: float) -> bool:
        """Whether to look now. Counts as looking: the next round is a `ROUND` later at the latest."""
        if self.next() > now:
            return False
        while self._wanted and self._wanted[0] <= now:
            heappop(self._wanted)
        if self.next() > now + ROUND:
            self.want(now + ROUND)
        return True

    def next(self) -> float:
        """When to look."""
        return self._wanted[0] if self._wanted else inf
