"""The two clocks: one that only goes forward, to decide by; and the time of day, to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic


def _wall() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the hub reads the time. Decisions use `now` alone, so that a time of day that jumps changes none."""

    now: Callable[[], float] = monotonic
    wall: Callable[[], datetime] = _wall
