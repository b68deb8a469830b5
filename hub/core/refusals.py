"""Refusals that are all alike: the first is told, and how many followed it, lest a flood of them fills the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

WINDOW: Final = 10.0
"""Seconds after which what followed the first is told."""
MOST: Final = 4096
"""Kinds of refusals that are told apart at a time; beyond that those of one subject and outcome are one kind."""


class Alike(NamedTuple):
    """What makes refusals alike: who, from where, asked what, and was refused how."""

    caller: str | None
    host: str
    subject: str
    outcome: str


class Summed(NamedTuple):
    """How many followed the first, since when, and when the last did."""

    alike: Alike
    times: int
    since: datetime
    at: datetime


class _Window:
    __slots__ = ("at", "count", "ends", "since")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.count = 0
        self.since: datetime | None = None
        self.at: datetime | None = None


class Refusals:
    """Sums up refusals that follow each other."""

    def __init__(self) -> None:
        self._open: dict[Alike, _Window] = {}

    def __len__(self) -> int:
        return len(self._open)

    def first(self, alike: Alike, now: float, at: datetime) -> bool:
        """Whether this one is to be told by itself; if not, it is counted."""
        window = self._open.get(alike)
        if window is None and len(self._open) >= MOST:
            alike = Alike(None, "", alike.subject, alike.outcome)
            window = self._open.get(alike)
        if window is None:
            self._open[alike] = _Window(now + WINDOW)
            return True
        window.count += 1
        window.since = window.since or at
        window.at = at
        return False

    def due(self, now: float, *, all_of_them: bool = False) -> list[Summed]:
        """What is to be told now. Where nothing followed for a whole window, the next one is a first again."""
        told: list[Summed] = []
        for alike, window in list(self._open.items()):
            if window.ends > now and not all_of_them:
                continue
            if window.since is None or window.at is None:
                del self._open[alike]
                continue
            told.append(Summed(alike, window.count, window.since, window.at))
            self._open[alike] = _Window(now + WINDOW)
        return told
