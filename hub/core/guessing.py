"""Failed logins: who guesses is answered ever later, and nobody else is.

Each place that logins come from has a bucket that runs out at `FREE` failures per `WINDOW`. A failure that makes it run
over waits for its answer: a second, two, four, up to `LONGEST`. It begins anew after a `WINDOW` without failures. Who
logs in well never waits, wherever he is: behind one address there may be many, of whom one is set up wrong.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

FREE: Final = 10
"""Failures in a `WINDOW` that are answered at once."""
WINDOW: Final = 60.0
LONGEST: Final = 30.0
MAX_PLACES: Final = 10_000
"""Places remembered; the one that has been quiet for longest makes room."""
MANY: Final = 60
"""Failures in a `WINDOW` that operators are told of."""
_COUNTED: Final = 10_000
_NETWORK: Final = 64
"""Bits of an IPv6 address that are one place: a single customer has at least the rest."""


class _Place(NamedTuple):
    level: float
    last: float
    pause: float


class Guesses:
    """What is remembered of failed logins. Times are in seconds of one clock that only goes forward."""

    def __init__(self) -> None:
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._recent: deque[float] = deque(maxlen=_COUNTED)

    def __len__(self) -> int:
        return len(self._places)

    def failed(self, places: tuple[str, ...], now: float) -> float:
        """A login has failed: for how many seconds its answer is to wait, 0 for not at all.

        Args:
            places: Where it came from, and what it was for: each counts by itself, the longest wait counts.
            now: The time.
        """
        self._recent.append(now)
        return max((self._failed(place, now) for place in places), default=0.0)

    def recent(self, now: float) -> int:
        """How many failed within the last `WINDOW`; never more than 10,000 are counted."""
        while self._recent and self._recent[0] <= now - WINDOW:
            self._recent.popleft()
        return len(self._recent)

    def worst(self, now: float) -> str:
        """The place with the most failures of late; empty where there are none."""
        of_late = [(place.level, name) for name, place in self._places.items() if now - place.last < WINDOW]
        return max(of_late)[1] if of_late else ""

    def _failed(self, name: str, now: float) -> float:
        place = self._places.pop(name, None)
        if place is None or now - place.last >= WINDOW:
            place = _Place(0.0, now, 0.0)
        level = _level(place, now) + 1
        pause = place.pause
        if level > FREE or pause:
            pause = min(LONGEST, max(1.0, 2 * pause))
        self._places[name] = _Place(level, now, pause)
        if len(self._places) > MAX_PLACES:
            self._places.popitem(last=False)
        return pause


def host_place(host: str) -> str:
    """The place that an address counts as: itself, or its network of 64 bits where it is one of IPv6."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        network = int(address) >> (128 - _NETWORK) << (128 - _NETWORK)
        return f"{IPv6Address(network)}/{_NETWORK}"
    return str(address)


def _level(place: _Place, now: float) -> float:
    return max(0.0, place.level - (now - place.last) * FREE / WINDOW)
