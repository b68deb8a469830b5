"""Log lines that callers can bring about at will: a few a second, and the number of those left out."""

from __future__ import annotations

from time import monotonic

PER_SECOND = 5


class Sparing:
    """Decides which of many alike lines is written."""

    def __init__(self) -> None:
        self._second = 0.0
        self._written = 0
        self._left_out = 0

    def take(self) -> int | None:
        """How many were left out since the last line; None where this one is to be left out too."""
        now = monotonic()
        if now >= self._second + 1.0:
            self._second, self._written = now, 0
        if self._written >= PER_SECOND:
            self._left_out += 1
            return None
        self._written += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
