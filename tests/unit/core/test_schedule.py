from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.schedule import JITTER, SOON, SOON_AT_ONCE, Schedule, phase_of

KEYS = [f"engine-{number // 20}.i{number}/health" for number in range(5000)]


def schedule(epoch: float = 0.0) -> Schedule:
    return Schedule(Random(7), epoch=epoch)


def run(planned: Schedule, start: float, seconds: float, *, step: float = 0.01) -> list[tuple[float, str]]:
    """Let time pass in small steps; returns who was looked at when."""
    looks: list[tuple[float, str]] = []
    for number in range(1, round(seconds / step) + 1):
        now = start + number * step
        looks += [(now, key) for key in planned.take(now, 10_000)[0]]
    return looks


def test_five_thousand_checks_are_an_even_murmur() -> None:
    planned = schedule()
    for key in KEYS:
        planned.plan(key, 10.0, 0.0)
    looks = run(planned, 0.0, 30.0, step=0.1)
    per_second = Counter(int(when) for when, _ in looks if when > 10)
    assert max(per_second.values()) < 650
    assert min(count for second, count in per_second.items() if second < 30) > 350


@given(interval=st.floats(1, 3600), epoch=st.floats(0, 2e9), start=st.floats(0, 1e6), seed=st.integers())
def test_every_check_is_looked_at_once_per_interval_at_its_phase_or_a_little_later(
    interval: float, epoch: float, start: float, seed: int
) -> None:
    planned = Schedule(Random(seed), epoch=epoch)
    planned.plan("engine.a1/health", interval, start)
    now = start
    dues: list[float] = []
    for _ in range(20):
        due = planned.next_due()
        assert due is not None
        assert now < due + 1e-3
        now = due + 1e-6
        dues.append(due)
        assert planned.take(now + 1e-3, 1) == (["engine.a1/health"], 0)
    assert dues[0] - start <= interval * (1 + JITTER) + 1e-3
    for due in dues:
        late = ((due + epoch) / interval - phase_of("engine.a1/health")) % 1.0
        assert late <= JITTER + 1e-3 or late >= 1 - 1e-3
    for one, other in pairwise(dues):
        assert interval * (1 - JITTER) - 1e-3 <= other - one <= interval * (1 + JITTER) + 1e-3


def test_whoever_takes_a_check_over_goes_on_in_its_rhythm() -> None:
    one, other = schedule(epoch=1000.0), schedule(epoch=250.0)  # clocks of different machines
    one.plan("engine.a1/health", 10.0, 0.0)
    other.plan("engine.a1/health", 10.0, 750.0)
    first, second = one.next_due(), other.next_due()
    assert first is not None
    assert second is not None
    assert abs((first + 1000.0) - (second + 250.0)) <= 10.0 * JITTER


def test_taking_over_many_checks_looks_at_none_of_them_at_once() -> None:
    planned = schedule()
    for key in KEYS:
        planned.plan(key, 10.0, 123.0)
    assert len(run(planned, 123.0, 0.5)) < 400


@pytest.mark.parametrize("interval", [1.0, 5.0, 3600.0])
def test_what_is_new_is_looked_at_soon_and_then_in_its_rhythm(interval: float) -> None:
    planned = schedule()
    planned.plan("engine.a1/health", interval, 50.0, soon=True)
    first = planned.next_due()
    assert first is not None
    assert 50.0 <= first <= 50.0 + min(interval, SOON)
    planned.take(first + 0.001, 1)
    second = planned.next_due()
    assert second is not None
    assert interval / 2 <= second - first <= interval * (1.5 + JITTER) + 0.01


def test_many_newcomers_at_once_wait_for_their_phases() -> None:
    planned = schedule()
    for key in KEYS:
        planned.plan(key, 10.0, 0.0, soon=True)
    looks = run(planned, 0.0, 1.0)
    assert SOON_AT_ONCE <= len(looks) <= SOON_AT_ONCE + 650
    planned.plan("late.newcomer/health", 10.0, 20.0, soon=True)
    assert "late.newcomer/health" in [key for _, key in run(planned, 20.0, 1.0)]


def test_what_is_late_by_more_than_half_its_interval_is_skipped_and_counted() -> None:
    planned = schedule()
    for key in KEYS:
        planned.plan(key, 10.0, 0.0)
    taken, skipped = planned.take(60.0, 10_000)
    assert (taken, skipped) == ([], 5000)
    looks = run(planned, 60.0, 10.6, step=0.1)
    assert {key for _, key in looks} == set(KEYS)


def test_a_limit_leaves_the_others_due() -> None:
    planned = schedule()
    for key in KEYS[:100]:
        planned.plan(key, 3600.0, 0.0, soon=True)
    first, _ = planned.take(1.5, 30)
    rest, _ = planned.take(1.5, 100)
    assert (len(first), len(rest)) == (30, 70)
    assert set(first) | set(rest) == set(KEYS[:100])


def test_what_is_dropped_is_not_looked_at() -> None:
    planned = schedule()
    planned.plan("engine.a1/health", 1.0, 0.0)
    planned.plan("engine.a2/health", 1.0, 0.0, soon=True)
    planned.drop("engine.a1/health")
    planned.drop("engine.a2/health")
    planned.drop("never.there/health")
    assert (planned.next_due(), len(planned)) == (None, 0)
    assert planned.take(100.0, 10) == ([], 0)


def test_planned_anew_there_is_one_time_to_look_at_it() -> None:
    planned = schedule()
    for interval in (1.0, 2.0, 4.0):
        planned.plan("engine.a1/health", interval, 0.0)
    looks = run(planned, 0.0, 40.0)
    assert 9 <= len(looks) <= 11
