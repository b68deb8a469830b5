"""Counting and timing, for next to nothing: durations, and the requests on one subject, or the probes of one type."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Final

BOUNDS: Final[tuple[float, ...]] = (
    *(0.000_05, 0.000_1, 0.000_25, 0.000_5),
    *(0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
"""Upper bounds of the buckets in seconds, 50 µs to 5 s; what is above falls into the last, +Inf."""
OK: Final = "ok"


class Histogram:
    """How many durations fell into which bucket. Plain numbers, which become a Prometheus family when it is scraped.

    Attributes:
        bounds: Upper bounds of the buckets in seconds, ascending.
        buckets: How many took up to each of `bounds` and longer than the one before; the last is for all longer ones.
        seconds: How long all of them took together.
    """

    __slots__ = ("bounds", "buckets", "seconds")

    def __init__(self, bounds: tuple[float, ...] = BOUNDS) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.buckets[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """The buckets as Prometheus has them: upper bound, and how many took up to that."""
        bounds = [*map(str, self.bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.buckets)), strict=True))


class RequestMeter:
    """The requests on one subject.

    Attributes:
        subject: The subject; of probes, the type of check.
        outcomes: How many requests ended how: `ok`, or the code of the error. The codes are few and fixed.
        last_error: The code of the latest error; empty before there is one. Its message may quote what a caller sent,
            which is nobody else's business.
        durations: How long they took; None where that is not measured.
    """

    __slots__ = ("durations", "last_error", "outcomes", "subject")

    def __init__(self, subject: str, *, timed: bool = True) -> None:
        self.subject = subject
        self.outcomes: dict[str, int] = {OK: 0}
        self.last_error = ""
        self.durations = Histogram() if timed else None

    def observe(self, outcome: str, seconds: float) -> None:
        """Count one request."""
        try:
            self.outcomes[outcome] += 1
        except KeyError:
            self.outcomes[outcome] = 1
        if outcome != OK:
            self.last_error = outcome
        if (durations := self.durations) is not None:  # `Histogram.observe`, without the call: this is in every request
            durations.buckets[bisect_left(BOUNDS, seconds)] += 1
            durations.seconds += seconds

    @property
    def seconds(self) -> float:
        """How long all of them took together; 0 where that is not measured."""
        return self.durations.seconds if self.durations is not None else 0.0

    @property
    def requests(self) -> int:
        """How many requests were answered, however they ended."""
        return sum(self.outcomes.values())

    @property
    def errors(self) -> int:
        """How many of them did not end well."""
        return self.requests - self.outcomes[OK]


class ResponseMeter:
    """The responses of the HTTP face.

    Attributes:
        counts: How many there were, by route and status.
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[tuple[str, int], int] = {}

    def expect(self, route: str, status: int) -> None:
        """Tell of these even while there are none. Routes are paths with their places, never what callers asked for."""
        self.counts.setdefault((route, status), 0)

    def count(self, route: str, status: int) -> None:
        """Count one."""
        self.counts[route, status] = self.counts.get((route, status), 0) + 1
