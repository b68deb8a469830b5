"""Flap damping: each relapse lengthens the time that an instance must behave before it is passing again."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 60.0
MEMORY: Final = 300.0
"""Seconds of passing after which earlier relapses are forgotten."""


def relapses_now(relapses: int, recovered: float | None, now: float) -> int:
    """The relapses to count when an instance becomes critical.

    Args:
        relapses: Those counted before.
        recovered: When it last became passing after being critical; None where it never did.
        now: Seconds, on the same clock.
    """
    if recovered is None or now - recovered > MEMORY:
        return 0
    return min(relapses + 1, 32)


def probation(relapses: int) -> float:
    """Seconds it must beat without a gap before it is passing again: none at first, then 2, 4, 8 … up to a minute."""
    return 0.0 if relapses <= 0 else min(LONGEST, 2.0 ** min(relapses, 16))
