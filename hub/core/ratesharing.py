"""What one hub has admitted and not yet told the others, who have the same callers before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from hub.core.ratelimit import Limit

INTERVAL: Final = 0.1
"""Seconds between two times that a hub tells the others."""
MOST: Final = 10_000
"""Buckets whose use is remembered until it is told. What others are not told of, they cannot count."""
AT_ONCE: Final = 250
"""Buckets that are told of in one message, which nothing else is done beside at the other end."""


class Use(NamedTuple):
    """How much was taken from a bucket.

    Attributes:
        key: Whose bucket.
        tokens: How many tokens.
        limit: How many are in it, and how fast they come back.
        began: When the first of them was taken.
    """

    key: str
    tokens: int
    limit: Limit
    began: float

    @property
    def seconds(self) -> float:
        """In how many seconds they come back."""
        return self.tokens * self.limit.interval


class Untold:
    """Sums up what is taken until it is told."""

    def __init__(self) -> None:
        self._uses: dict[str, Use] = {}

    def __len__(self) -> int:
        """How many buckets something was taken from."""
        return len(self._uses)

    def took(self, key: str, limit: Limit, now: float) -> None:
        """A token was taken."""
        found = self._uses.get(key)
        if found is not None:
            self._uses[key] = Use(key, found.tokens + 1, limit, found.began)
        elif len(self._uses) < MOST:
            self._uses[key] = Use(key, 1, limit, now)

    def take_all(self) -> list[Sequence[Use]]:
        """What was taken since the last call, in portions."""
        uses = list(self._uses.values())
        self._uses.clear()
        return [uses[start : start + AT_ONCE] for start in range(0, len(uses), AT_ONCE)]

    def owed(self, key: str, ahead: float) -> float:
        """In how many seconds a bucket is full again, for this hub's own.

        Hubs do not tell in the order in which they admitted, which makes a bucket look emptier than it is by what comes
        back between two times. So much is left out, lest somebody who keeps to the rate be refused.

        Args:
            key: Whose.
            ahead: The same for the bucket of all, without what was taken since the last `take_all`.
        """
        since = self._uses.get(key)
        return ahead - INTERVAL + (since.seconds if since is not None else 0.0)
