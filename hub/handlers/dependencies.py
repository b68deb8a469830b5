"""What the platform lives by beside NATS: database, cache, Kafka. They are looked at; the hub goes on without them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from hub.core.condition import IN_HEALTH, WELL, Condition, critical, together, warning
from hub.core.thresholds import Settled
from hub.errors import Unsupported
from hub.handlers.clock import Clock
from hub.masking import mask
from hub.probes import Outcome, Prober, kafka_brokers, postgres_url, redis_url
from hub.settings import Settings
from hub.settings.model import Platform
from hub.transport.loops import Beat
from hub.wire.names import CRITICAL, Status

_AGAIN = 1.0
"""Seconds between two looks, at most, while it is down: who mends it wants to see it."""
_GRACE = 1.0
"""Seconds that a prober may take beyond its own timeout."""


def _nothing() -> Condition:
    return WELL


class Pace(NamedTuple):
    """How a dependency is looked at, in seconds.

    Attributes:
        interval: Between two looks.
        timeout: That one look may take.
        fall: Looks in a row that must fail before it counts as down.
    """

    interval: float = 5.0
    timeout: float = 2.0
    fall: int = 2


class Dependency:
    """One dependency, and what is known of it.

    Args:
        name: Which; it is reported on as `hub.health.<name>`.
        prober: Looks at it.
        pace: How often, and for how long.
        clock: Where to read the time.
        besides: What else is to be said of it: how the hub gets on with it.

    Attributes:
        latency: Seconds that the newest look that found it well took; None before there was one.
    """

    def __init__(
        self, name: str, prober: Prober, pace: Pace, clock: Clock, *, besides: Callable[[], Condition] = _nothing
    ) -> None:
        self.name = name
        self._besides = besides
        self._status: Status | None = None
        self._prober = prober
        self._pace = pace
        self._clock = clock
        self._settled = Settled(pace.fall)
        self._since = clock.wall()
        self.latency: float | None = None

    @property
    def bound(self) -> float:
        """Seconds after which the loop that looks counts as stuck."""
        return self._pace.interval + 3 * (self._pace.timeout + _GRACE) + 5.0

    @property
    def looked_at(self) -> bool:
        """Whether anything is known of it."""
        return self._settled.condition is not None

    @property
    def condition(self) -> Condition:
        """How it is, as far as is known. While it is down there is no more to say."""
        found = self._settled.condition or warning("not looked at yet")
        return found if found.status == CRITICAL else together([found, self._besides()])

    def describe(self) -> dict[str, Any]:
        """What an operator wants to know of it: status, reason, since when, and the latency of the newest good look."""
        status, reason = self.condition
        return {
            "status": IN_HEALTH[status],
            "reason": reason,
            "since": self._since.isoformat(),
            "latency": self.latency,
        }

    async def watch(self, beat: Beat) -> None:
        """Look again and again, for ever."""
        while True:
            beat()
            await self.look()
            beat()
            found = self._settled.condition or WELL
            await asyncio.sleep(self._pace.interval if found.well else min(self._pace.interval, _AGAIN))

    async def look(self) -> None:
        """Look once. What is wrong is in `condition`."""
        outcome = await self._probe()
        if outcome.ok:
            self.latency = round(outcome.seconds, 6)
        self._settled.take(Condition() if outcome.ok else critical(mask(outcome.output)))
        if self.condition.status != self._status:
            self._status = self.condition.status
            self._since = self._clock.wall()

    async def _probe(self) -> Outcome:
        """A prober keeps its own time; this is for one that does not."""
        patience = self._pace.timeout + _GRACE
        try:
            async with asyncio.timeout(patience):
                return await self._prober()
        except TimeoutError:
            return Outcome(False, f"no answer within {patience:g} s", patience)


def dependencies(settings: Settings, clock: Clock, *, database: Callable[[], Condition] = _nothing) -> list[Dependency]:
    """Those that are configured.

    Args:
        settings: Which are, and how to look at them.
        clock: Where to read the time.
        database: What else is to be said of the database.
    """
    health = settings.health
    pace = Pace(health.dependency_interval, health.dependency_timeout)
    besides = {"database": database}
    return [
        Dependency(name, prober, pace, clock, besides=besides.get(name, _nothing))
        for name, prober in _probers(settings.platform, pace.timeout)
    ]


def _probers(platform: Platform, timeout: float) -> Iterator[tuple[str, Prober]]:
    if platform.database_url:
        yield "database", _prober(partial(postgres_url, platform.database_url, timeout=timeout, ca=platform.tls_ca))
    if platform.cache_url:
        yield "cache", _prober(partial(redis_url, platform.cache_url, timeout=timeout, ca=platform.tls_ca))
    if platform.kafka_brokers:
        yield "kafka", _prober(partial(kafka_brokers, platform.kafka_brokers, timeout=timeout))


def _prober(make: Callable[[], Prober]) -> Prober:
    """The prober, or one that says why there is none: the hub goes on without."""
    try:
        return make()
    except Unsupported as error:
        reason = error.message

    async def unsupported() -> Outcome:
        return Outcome(False, reason, 0.0)

    return unsupported
