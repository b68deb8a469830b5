"""What is told to the others, and how far a fleet of hubs goes that tell each other late."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.ratelimit import Limit, RateLimiter
from hub.core.ratesharing import AT_ONCE, INTERVAL, MOST, Untold, Use


class Redis:
    """What the script in Redis does, for one bucket."""

    def __init__(self) -> None:
        self.due = 0.0

    def take(self, use: Use | None, now: float) -> float:
        if use is not None:
            self.due = max(self.due, use.began) + use.seconds
        return self.due - now


class Hub:
    """One of several hubs before which one caller asks."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._limiter = RateLimiter()
        self._untold = Untold()

    def ask(self, now: float) -> bool:
        if self._limiter.admit("ada", self._limit, now) > 0:
            return False
        self._untold.took("ada", self._limit, now)
        return True

    def exchange(self, redis: Redis, now: float) -> None:
        for [use] in self._untold.take_all():
            self._limiter.owe("ada", self._limit, self._untold.owed("ada", redis.take(use, now)), now)


def test_what_was_taken_is_told_once_with_when_it_began() -> None:
    untold, limit = Untold(), Limit(rate=10, burst=5)
    assert untold.take_all() == []
    for now in (3.0, 3.5, 4.0):
        untold.took("ada", limit, now)
    untold.took("bob", Limit(1, 1), 5.0)
    assert untold.owed("ada", 2.0) == pytest.approx(2.3 - INTERVAL)
    assert untold.take_all() == [[Use("ada", 3, limit, 3.0), Use("bob", 1, Limit(1, 1), 5.0)]]
    assert (untold.take_all(), len(untold)) == ([], 0)
    assert untold.owed("ada", 2.0) == 2.0 - INTERVAL


def test_no_more_is_remembered_and_told_at_once_than_is_good() -> None:
    untold = Untold()
    for number in range(MOST + 5000):
        untold.took(f"caller-{number}", Limit(1, 1), 0.0)
    assert len(untold) == MOST
    portions = untold.take_all()
    assert {len(portion) for portion in portions} == {AT_ONCE}
    assert sum(map(len, portions)) == MOST


@settings(max_examples=60)
@given(
    st.builds(Limit, rate=st.floats(1, 200), burst=st.integers(1, 100)),
    st.integers(2, 4),
    st.integers(0, 2**32),
    st.floats(0.2, 20),
)
def test_several_hubs_let_through_no_more_than_their_bound_at_first_and_the_rate_in_the_long_run(
    limit: Limit, replicas: int, seed: int, times_the_limit: float
) -> None:
    random, redis = Random(seed), Redis()
    hubs = [Hub(limit) for _ in range(replicas)]
    next_exchange = [random.uniform(0, INTERVAL) for _ in hubs]
    now, admitted = 0.0, []
    while now < 20:
        now += random.expovariate(limit.rate * times_the_limit)
        for number, hub in enumerate(hubs):
            while next_exchange[number] <= now:
                hub.exchange(redis, next_exchange[number])
                next_exchange[number] += INTERVAL
        if random.choice(hubs).ask(now):
            admitted.append(now)
    delay = 2 * INTERVAL
    ahead = limit.rate * delay + (replicas - 1) * (limit.burst + limit.rate * delay)
    for began in (0.0, 5.0, 10.0):
        within = sum(moment >= began for moment in admitted)
        assert within <= limit.burst + limit.rate * (20 - began) + ahead + replicas


@given(st.builds(Limit, rate=st.floats(1, 1000), burst=st.integers(1, 1000)), st.floats(1.0, 2.0))
def test_who_asks_steadily_below_the_rate_before_several_hubs_is_not_refused_for_their_telling_each_other(
    limit: Limit, slower: float
) -> None:
    redis, hubs = Redis(), [Hub(limit) for _ in range(3)]
    gap, now, exchanged = limit.interval * slower + 1e-9, 0.0, 0.0
    for number in range(300):
        now = number * gap
        while exchanged + INTERVAL <= now:
            exchanged += INTERVAL
            for hub in hubs:
                hub.exchange(redis, exchanged)
        assert hubs[number % 3].ask(now)
