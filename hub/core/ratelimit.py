"""How often somebody may ask: token buckets, kept as the one moment at which each is full again.

That is the generic cell rate algorithm (ITU-T I.371, the virtual scheduling of its annex A): a bucket of `burst` tokens
that fills by `rate` a second is the "theoretical arrival time", here `due`. Each request moves it on by `1 / rate`; one
that would move it further than a whole burst ahead of now is refused. Nothing runs between requests, and how long to
wait is known exactly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, NamedTuple

CAPACITY: Final = 65_536
"""Buckets that are remembered at once. One that is full need not be."""
LONGEST_DEBT: Final = 600.0
"""Seconds for which what others report of a caller may keep it from asking: a mistake elsewhere costs no more."""
_SLACK: Final = 1e-9
"""Seconds that adding up may lose: who waits for as long as was said is admitted."""
_LOOKED_AT: Final = 2
"""Buckets that are looked at for each new one, so that those that are full are forgotten faster than new ones come."""
_WEIGHED: Final = 8
"""Buckets of which the fullest is forgotten where there is no room."""


class Limit(NamedTuple):
    """What one caller may ask of one kind.

    Attributes:
        rate: Requests a second, over any long time; more than 0.
        burst: Requests at once, after a pause; at least 1.
    """

    rate: float
    burst: int

    @property
    def interval(self) -> float:
        """Seconds in which one token comes back."""
        return 1.0 / self.rate

    @property
    def longest(self) -> float:
        """Seconds in which a bucket is full again, whatever is said of it."""
        return self.burst * self.interval + LONGEST_DEBT

    def shared_by(self, holders: int) -> Limit:
        """The part of one of so many who do not know of each other; at least one request at once."""
        return Limit(self.rate / max(1, holders), max(1, self.burst // max(1, holders)))


class RateLimiter:
    """A bucket for each key. Two keys never touch each other.

    Time is that of the caller of these methods, in seconds, from whatever beginning. A step backwards counts as none,
    and time goes on from there: nobody is locked out until the clock has caught up.

    No more than `capacity` buckets are remembered. Where more than that are not full at once, the fullest of a few is
    forgotten, and its owner has a whole burst again: with so many callers, a limit for each of them protects nobody.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._due: OrderedDict[Hashable, float] = OrderedDict()
        self._now = 0.0
        self._heard: float | None = None

    def __len__(self) -> int:
        """How many buckets are remembered."""
        return len(self._due)

    def admit(self, key: Hashable, limit: Limit, now: float) -> float:
        """Take a token. Returns 0, or the seconds after which there is one; then none was taken."""
        now = self._at(now)
        due = max(self._due.get(key, now), now)
        wait = due - now - (limit.burst - 1) * limit.interval
        if wait > _SLACK:
            return wait
        self._set(key, due + limit.interval)
        return 0.0

    def owe(self, key: Hashable, limit: Limit, seconds: float, now: float) -> None:
        """Have a bucket be full no sooner than so many seconds from now, since others took from it; later stays later.

        No more counts than what empties the bucket, and `LONGEST_DEBT`.
        """
        now = self._at(now)
        due = now + min(seconds, limit.longest)
        if due > max(self._due.get(key, now), now):
            self._set(key, due)

    def _at(self, now: float) -> float:
        """The time that has passed since the first call, backward steps apart."""
        if self._heard is not None and now > self._heard:
            self._now += now - self._heard
        self._heard = now
        return self._now

    def _set(self, key: Hashable, due: float) -> None:
        known = key in self._due
        self._due[key] = due
        if known:
            return
        for _ in range(min(_LOOKED_AT, len(self._due) - 1)):
            self._look_at_oldest()
        if len(self._due) > self._capacity:
            self._make_room(key)

    def _look_at_oldest(self) -> None:
        """Forget it where it is full; else look at it again after all others."""
        key, due = next(iter(self._due.items()))
        if due <= self._now:
            del self._due[key]
        else:
            self._due.move_to_end(key)

    def _make_room(self, newest: Hashable) -> None:
        weighed: list[tuple[float, Hashable]] = []
        for key, due in self._due.items():
            if key != newest:
                weighed.append((due, key))
            if len(weighed) == _WEIGHED:
                break
        del self._due[min(weighed, key=lambda each: each[0])[1]]
