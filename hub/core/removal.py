"""The cap on removals: in a fleet of more than 20, at most 15 % of it a minute, whatever the registry believes.

After Eureka's self-preservation, whose sweep evicts at most that share at a time.
"""

from __future__ import annotations

from collections import deque
from typing import Final

SMALL_FLEET: Final = 20
SHARE: Final = 0.15
WINDOW: Final = 60.0


class RemovalCap:
    """Remembers the removals of the last minute, and says how many more there may be."""

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._recent: deque[float] = deque()

    def allowed(self, fleet: int, now: float) -> int:
        """How many may be removed now from a fleet of so many that are left, at `now` seconds."""
        while self._recent and self._recent[0] <= now - WINDOW:
            self._recent.popleft()
        before = fleet + len(self._recent)
        if before <= SMALL_FLEET:
            return fleet
        return max(0, int(before * self._share) - len(self._recent))

    def removed(self, now: float) -> None:
        """One was removed."""
        self._recent.append(now)
