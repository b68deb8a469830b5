"""Counting and timing the requests on one subject, for next to nothing."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Final

BOUNDS: Final = (
    *(0.000_05, 0.000_1, 0.000_25, 0.000_5),
    *(0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
"""Upper bounds of the buckets in seconds, 50 µs to 5 s; what is above falls into the last, +Inf."""
OK: Final = "ok"


class RequestMeter:
    """The requests on one subject. Plain numbers, which become Prometheus families only when they are scraped.

    Attributes:
        subject: The subject.
        outcomes: How many requests ended how: `ok`, or the code of the error. The codes are few and fixed.
        last_error: The code of the latest error; empty before there is one. Its message may quote what a caller sent,
            which is nobody else's business.
        buckets: How many took up to each of `BOUNDS` and longer than the one before; the last is for all longer ones.
        seconds: How long all of them took together.
    """

    __slots__ = ("buckets", "last_error", "outcomes", "seconds", "subject")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.outcomes: dict[str, int] = {OK: 0}
        self.last_error = ""
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def observe(self, outcome: str, seconds: float) -> None:
        """Count one request."""
        try:
            self.outcomes[outcome] += 1
        except KeyError:
            self.outcomes[outcome] = 1
        if outcome != OK:
            self.last_error = outcome
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    @property
    def requests(self) -> int:
        """How many requests were answered, however they ended."""
        return sum(self.outcomes.values())

    @property
    def errors(self) -> int:
        """How many of them did not end well."""
        return self.requests - self.outcomes[OK]

    def cumulative(self) -> list[tuple[str, float]]:
        """The buckets as Prometheus has them: upper bound, and how many took up to that."""
        bounds = [*map(str, BOUNDS), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.buckets)), strict=True))
