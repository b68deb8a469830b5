"""Since when this hub hears well. It doubts itself before it doubts anybody else.

The idea is that of memberlist's awareness (Dadgar, Phillips, Currey: "Lifeguard: SWIM-ing with Situational Awareness"):
a slow detector takes its own slowness for the death of others, so it must notice that it was slow.
"""

from __future__ import annotations

STALL = 1.0
"""A gap between two ticks of more than this many seconds means that the hub itself stood still."""
DOUBTFUL = 6.0
"""Seconds of good hearing (the default ttl) after which the hub no longer says that it doubts itself."""


class Awareness:
    """Keeps the moment from which silence counts. All times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self.hearing_since = now
        self.now = now
        """The latest tick."""
        self._reason = "the hub has just started"

    def tick(self, now: float) -> float:
        """Time has passed. Returns how much since the tick before."""
        gap = now - self.now
        self.now = now
        return gap

    def deafen(self, now: float, reason: str) -> None:
        """What was said up to `now` may not have been heard."""
        self.hearing_since = max(self.hearing_since, now)
        self._reason = reason

    def is_stalled(self, now: float) -> bool:
        """Whether the hub has stood still, and no tick has noticed yet."""
        return now - self.now > STALL

    @property
    def doubt(self) -> str | None:
        """Why the hub doubts itself, as of the latest tick; None when it has heard well for a while."""
        return self._reason if self.now - self.hearing_since <= DOUBTFUL else None
