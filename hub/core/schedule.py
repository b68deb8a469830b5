"""When to look at what next, so that thousands of looks come as an even murmur, whoever makes them.

Every key has a phase within its interval, made from a hash of the key, and is due once per interval at that phase plus
a little jitter. The phases are those of a common time, so that whoever takes a key over goes on in its rhythm, and
taking over a thousand keys looks at none of them at once. What is new is looked at soon.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from random import Random
from typing import Final

from hub.core.deadlines import Deadlines

JITTER: Final = 0.05
"""The part of the interval by which a look may come later than its phase."""
SOON: Final = 1.0
"""Seconds within which something new is looked at first; its interval, where that is shorter."""
SOON_AT_ONCE: Final = 200
"""What is new beyond that waits for its phase, like everything else: many newcomers at once are a storm, too."""


@dataclass(slots=True)
class _Planned:
    interval: float
    phase: float
    due: float = 0.0
    soon: bool = False


class Schedule:
    """Due times of keys. Planning and taking are O(log n), amortised; there is one due time per key and never more.

    Args:
        random: For the jitter.
        epoch: What to add to `now` for the common time that phases are counted in: the time of day at which this
            clock showed 0. One hub that has it wrong looks at other times than its peers, and does no other harm.
    """

    def __init__(self, random: Random, *, epoch: float = 0.0) -> None:
        self._random = random
        self._epoch = epoch
        self._planned: dict[str, _Planned] = {}
        self._due = Deadlines()
        self._soon = 0

    def __len__(self) -> int:
        return len(self._planned)

    def plan(self, key: str, interval: float, now: float, *, soon: bool = False) -> None:
        """Look at this key every `interval` seconds, first at its next phase; or `soon`. Planned anew if it was."""
        self.drop(key)
        fraction = phase_of(key)
        planned = self._planned[key] = _Planned(interval, fraction * interval)
        if soon and self._soon < SOON_AT_ONCE:
            planned.soon = True
            self._soon += 1
            self._set(key, planned, now + self._random.random() * min(interval, SOON))
        else:
            self._set(key, planned, self._slot(planned, now))

    def drop(self, key: str) -> None:
        """Look at this key no more."""
        planned = self._planned.pop(key, None)
        if planned is not None:
            self._soon -= planned.soon
            self._due.drop(key)

    def next_due(self) -> float | None:
        """When something is due next, at the earliest; None where nothing is planned."""
        return self._due.first()

    def take(self, now: float, limit: int) -> tuple[list[str], int]:
        """The keys to look at now, `limit` at most, each planned for its next phase; and how many were skipped.

        What is late by more than half of its interval is skipped: its next look is as near as the one that was missed.
        """
        taken: list[str] = []
        skipped = 0
        while len(taken) < limit and (keys := self._due.pop_due(now, limit - len(taken))):
            for key in keys:
                planned = self._planned[key]
                late = now - planned.due > max(planned.interval / 2, SOON if planned.soon else 0.0)
                self._soon -= planned.soon
                planned.soon = False
                self._set(key, planned, self._slot(planned, now if late else now + planned.interval / 2))
                if late:
                    skipped += 1
                else:
                    taken.append(key)
        return taken, skipped

    def _slot(self, planned: _Planned, after: float) -> float:
        """The first look at its phase that is due after that time."""
        since = after + self._epoch - planned.phase
        slot = ceil(since / planned.interval) * planned.interval
        return after + (slot - since) + self._random.random() * JITTER * planned.interval

    def _set(self, key: str, planned: _Planned, due: float) -> None:
        planned.due = due
        self._due.set(key, due)


def phase_of(key: str) -> float:
    """Where in its interval a key is looked at: 0 up to 1, the same on every replica."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8, person=b"phase").digest(), "big") / 2**64
