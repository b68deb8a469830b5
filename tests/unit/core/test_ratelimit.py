"""Token buckets: what they let through, and when they say to come again."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.ratelimit import LONGEST_DEBT, Limit, RateLimiter

LIMITS = st.builds(Limit, rate=st.floats(0.01, 100_000), burst=st.integers(1, 1000))
GAPS = st.lists(st.one_of(st.just(0.0), st.floats(0, 0.01), st.floats(0, 100)), min_size=1, max_size=300)
ROUNDING = 1e-6
"""Of a token: what adding up floats may lose or gain."""


def asked(limiter: RateLimiter, limit: Limit, times: list[float], key: str = "ada") -> list[float]:
    """The moments at which requests at these times were admitted."""
    return [now for now in times if limiter.admit(key, limit, now) == 0.0]


# --- one bucket


def test_a_burst_is_let_through_and_then_one_for_each_token_that_came_back() -> None:
    limiter, limit = RateLimiter(), Limit(rate=10, burst=3)
    assert [limiter.admit("ada", limit, 100.0) for _ in range(4)] == pytest.approx([0, 0, 0, 0.1])
    assert limiter.admit("ada", limit, 100.1) == 0
    assert limiter.admit("ada", limit, 100.1) == pytest.approx(0.1)
    assert [limiter.admit("ada", limit, 200.0) for _ in range(4)] == pytest.approx([0, 0, 0, 0.1])


def test_one_caller_takes_nothing_from_another() -> None:
    limiter, limit = RateLimiter(), Limit(rate=1, burst=1)
    assert limiter.admit("ada", limit, 0) == 0
    assert limiter.admit("ada", limit, 0) > 0
    assert limiter.admit("bob", limit, 0) == 0


@given(LIMITS, GAPS)
def test_no_window_has_more_than_the_burst_and_what_came_back_in_it(limit: Limit, gaps: list[float]) -> None:
    admitted = asked(RateLimiter(), limit, list(accumulate(gaps)))
    for first, began in enumerate(admitted):
        for last in range(first, len(admitted)):
            most = limit.burst + limit.rate * (admitted[last] - began)
            assert last - first + 1 <= most * (1 + ROUNDING) + ROUNDING


@given(LIMITS, st.lists(st.floats(1.0, 3.0), max_size=200), st.floats(0, 1e6))
def test_who_asks_steadily_and_no_faster_than_the_rate_is_never_refused(
    limit: Limit, gaps: list[float], start: float
) -> None:
    times = list(accumulate((gap * limit.interval for gap in gaps), initial=start))
    limiter = RateLimiter()
    for number, now in enumerate(times):
        gap = now - times[number - 1] if number else limit.interval
        if gap >= limit.interval:  # adding may have lost a little of it
            assert limiter.admit("ada", limit, now) == 0


@given(LIMITS, GAPS)
def test_who_waits_as_long_as_was_said_is_admitted_and_who_comes_sooner_is_not(limit: Limit, gaps: list[float]) -> None:
    limiter = RateLimiter()
    for now in accumulate(gaps):
        wait = limiter.admit("ada", limit, now)
    while (wait := limiter.admit("ada", limit, now)) == 0:
        pass
    assert wait <= limit.interval * (1 + ROUNDING)
    assert limiter.admit("ada", limit, now + wait * 0.99 - 1e-8) > 0
    assert limiter.admit("ada", limit, now + wait) == 0


# --- clocks


@given(LIMITS, st.lists(st.floats(-1000, 1000), max_size=200))
def test_time_that_goes_backwards_lets_nobody_wait_longer_than_an_empty_bucket_takes(
    limit: Limit, steps: list[float]
) -> None:
    limiter = RateLimiter()
    forward = sum(step for step in steps if step > 0)
    times = list(accumulate(steps, initial=0.0))
    waits = [limiter.admit("ada", limit, now) for now in times]
    assert max(waits) <= limit.interval * (1 + ROUNDING) + ROUNDING
    assert waits.count(0.0) <= (limit.burst + limit.rate * forward) * (1 + ROUNDING) + ROUNDING


def test_time_that_stands_still_gives_no_more_than_a_burst() -> None:
    limiter, limit = RateLimiter(), Limit(rate=1000, burst=5)
    assert len(asked(limiter, limit, [7.0] * 100)) == 5
    assert len(asked(limiter, limit, [3.0] * 100)) == 0
    assert len(asked(limiter, limit, [3.001])) == 1


# --- limits that change


def test_a_new_limit_holds_at_once_and_remembers_what_was_asked() -> None:
    limiter = RateLimiter()
    assert len(asked(limiter, Limit(10, 10), [0.0] * 20)) == 10
    assert limiter.admit("ada", Limit(10, 20), 0.0) == 0, "a larger burst has room"
    assert limiter.admit("ada", Limit(1, 1), 0.0) == pytest.approx(1.1)
    assert limiter.admit("ada", Limit(1, 1), 1.1) == 0


def test_a_share_of_a_limit_lets_each_through_at_least_one_at_a_time() -> None:
    assert Limit(90, 10).shared_by(3) == Limit(30, 3)
    assert Limit(90, 2).shared_by(3) == Limit(30, 1)
    assert Limit(90, 2).shared_by(0) == Limit(90, 2)


# --- what others take


def test_what_others_took_is_owed_and_never_forgiven() -> None:
    limiter, limit = RateLimiter(), Limit(rate=10, burst=10)
    limiter.owe("ada", limit, 1.0, 0.0)
    assert limiter.admit("ada", limit, 0.0) == pytest.approx(0.1)
    limiter.owe("ada", limit, 0.5, 0.0)
    assert limiter.admit("ada", limit, 0.0) == pytest.approx(0.1)
    assert len(asked(limiter, limit, [0.5] * 20)) == 5
    limiter.owe("ada", limit, -3.0, 0.5)
    assert limiter.admit("ada", limit, 0.5) > 0


def test_nobody_owes_more_than_some_minutes_whatever_is_said_of_him() -> None:
    limiter, limit = RateLimiter(), Limit(rate=10, burst=10)
    limiter.owe("ada", limit, 1e18, 0.0)
    assert limiter.admit("ada", limit, 0.0) == pytest.approx(LONGEST_DEBT + limit.interval)
    slow = Limit(rate=0.001, burst=20)
    limiter.owe("bob", slow, 20_000.0, 0.0)
    assert limiter.admit("bob", slow, 0.0) == pytest.approx(1000), "an empty bucket is one, however slowly it fills"


# --- memory


def test_full_buckets_are_forgotten() -> None:
    limiter, limit = RateLimiter(), Limit(rate=10, burst=10)
    for number in range(1000):
        assert limiter.admit(f"early-{number}", limit, 0.0) == 0
    assert len(limiter) == 1000
    for number in range(1000):
        limiter.admit(f"late-{number}", limit, 60.0)
    assert len(limiter) <= 1001


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 1)), max_size=500))
def test_no_more_buckets_are_remembered_than_there_is_room_for(asking: list[tuple[int, float]]) -> None:
    limiter, limit, now = RateLimiter(capacity=10), Limit(rate=1, burst=2), 0.0
    for who, gap in asking:
        now += gap
        limiter.admit(who, limit, now)
        assert len(limiter) <= 10


def test_where_there_is_no_room_it_is_no_heavy_user_who_is_forgotten() -> None:
    limiter, limit = RateLimiter(capacity=8), Limit(rate=1, burst=5)
    asked(limiter, limit, [0.0] * 5, key="heavy")
    for number in range(200):
        limiter.admit(f"light-{number}", limit, 0.0)
    assert limiter.admit("heavy", limit, 0.0) > 0
