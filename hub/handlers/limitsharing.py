"""Rate limits that all hubs have in common: each tells a cache what it has admitted, and hears what all have together.

A request is decided by this hub's own buckets, and waits for nobody. Ten times a second it tells what it has admitted,
and has its buckets be as empty as those of all hubs are. Until then the others do not know: of n hubs that a caller
asks, each but the first may let through what its own bucket holds, which is a burst at the most and, while the caller
goes on, the rate times the delay, about 0.1 s. So in any time t they let through together no more than

    burst + rate * (t + delay) + (n - 1) * (burst + rate * delay)

and what was too much is paid back: the buckets are the emptier for it, so that over a long time it is the rate.

Where the cache does not answer, what was admitted is forgotten, so that nobody pays for an outage after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from hub.core.ratelimit import Limit, RateLimiter
from hub.core.ratesharing import INTERVAL, Untold, Use
from hub.errors import Unavailable
from hub.handlers.clock import Clock
from hub.store.sharedlimits import SharedLimits
from hub.transport.loops import Beat

log = structlog.get_logger(__name__)

_IDLE = 1.0
"""Seconds after which the cache is asked although there is nothing to tell: whether it is there has to be known."""
_AGAIN = 0.5
"""Seconds between two tries while it is away."""


class LimitSharing:
    """Shares the buckets of one hub with the others.

    Args:
        store: Where the buckets of all are; None where there is no way to it.
        clock: Where to read the time.
        lost: Why there is no way to it.

    Attributes:
        limiter: The buckets of this hub.
        wanted: Whether anything is limited at all; the cache is left alone otherwise.
        lost: Why the cache is away, in words for operators; empty while it is there or was not asked yet.
        shared: Whether the buckets are those of all.
        on_change: Called when that has changed.
    """

    def __init__(self, store: SharedLimits | None, clock: Clock, *, lost: str = "") -> None:
        self.limiter = RateLimiter()
        self.wanted = False
        self.lost = lost
        self.shared = False
        self.on_change: Callable[[], None] = _nothing
        self._store = store
        self._clock = clock
        self._untold = Untold()
        self._asked = float("-inf")

    def took(self, key: str, limit: Limit, now: float) -> None:
        """This hub has admitted a request."""
        if self._store is not None:
            self._untold.took(key, limit, now)

    async def run(self, beat: Beat) -> None:
        """Tell and hear, for ever."""
        while True:
            beat()
            await asyncio.sleep(_AGAIN if self.lost else INTERVAL)
            if self._store is not None and self.wanted:
                await self._exchange(self._store, beat)
            else:
                self._untold.take_all()

    async def _exchange(self, store: SharedLimits, beat: Beat) -> None:
        portions: list[Sequence[Use]] = self._untold.take_all()
        if not portions and self._clock.now() < self._asked + _IDLE and not self.lost:
            return
        self._asked = self._clock.now()
        try:
            for portion in portions or [()]:
                beat()
                await self._tell(store, portion)
        except Unavailable as error:
            self._lose(error.message)
        else:
            self._regain()

    async def _tell(self, store: SharedLimits, portion: Sequence[Use]) -> None:
        began = self._clock.now()
        found = await store.take(portion, began)
        now = self._clock.now()
        for use, seconds in zip(portion, found, strict=True):
            self.limiter.owe(use.key, use.limit, self._untold.owed(use.key, seconds - (now - began)), now)

    def _lose(self, reason: str) -> None:
        self._untold.take_all()
        if not self.lost:
            log.warning("rate limits are not shared with other hubs until the cache answers", reason=reason)
        self._set(f"cache: {reason}", shared=False)

    def _regain(self) -> None:
        if self.lost:
            log.info("rate limits are shared with other hubs again")
        self._set("", shared=True)

    def _set(self, lost: str, *, shared: bool) -> None:
        changed = shared != self.shared
        self.lost, self.shared = lost, shared
        if changed:
            self.on_change()


def _nothing() -> None:
    return None
