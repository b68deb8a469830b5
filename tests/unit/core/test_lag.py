from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.lag import Lag, gaps


def test_a_copy_that_has_everything_is_not_behind() -> None:
    lag = Lag()
    lag.note(7, 7, 100.0)
    assert (lag.messages, lag.seconds(500.0)) == (0, 0.0)


def test_a_copy_is_behind_since_what_is_missing_was_seen_first() -> None:
    lag = Lag()
    lag.note(7, 7, 0.0)
    lag.note(9, 7, 10.0)
    lag.note(12, 7, 20.0)
    assert (lag.messages, lag.seconds(25.0)) == (5, 15.0)
    lag.note(12, 9, 30.0)
    assert (lag.messages, lag.seconds(30.0)) == (3, 10.0)
    lag.note(12, 12, 40.0)
    assert (lag.messages, lag.seconds(40.0)) == (0, 0.0)


def test_a_busy_copy_that_keeps_up_is_never_late() -> None:
    lag = Lag()
    for n in range(10_000):
        lag.note(n + 3, n, float(n))
        assert lag.seconds(float(n)) <= 3


def test_a_copy_that_is_ahead_of_what_is_still_there_is_not_behind() -> None:
    lag = Lag()
    lag.note(0, 9, 1.0)
    assert (lag.messages, lag.seconds(9.0)) == (0, 0.0)


def test_marks_are_bounded_and_the_oldest_is_remembered() -> None:
    lag = Lag()
    for n in range(1, 5_000):
        lag.note(n, 0, float(n))
    assert lag.seconds(5_000.0) == 4_999.0
    assert len(lag._marks) <= 1024


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=60))
def test_it_is_late_for_no_longer_than_the_oldest_that_is_missing_is_old(steps: list[tuple[int, int]]) -> None:
    lag, newest, copied, now = Lag(), 0, 0, 0.0
    came: list[float] = []
    for more, done in steps:
        now += 1.0
        came += [now] * more
        newest += more
        copied = min(newest, copied + done)
        lag.note(newest, copied, now)
        age = now - came[copied] if copied < newest else 0.0
        assert lag.seconds(now) == age
        assert lag.messages == newest - copied


@pytest.mark.parametrize(
    ("after", "revisions", "missing"),
    [
        (0, [], []),
        (0, [7, 8], []),
        (6, [7, 8], []),
        (4, [7, 8], [(5, 6)]),
        (4, [5, 8, 11], [(6, 7), (9, 10)]),
        (9, [7, 8, 9, 10], []),
        (9, [3, 8, 12], [(10, 11)]),
    ],
)
def test_every_row_of_missing_revisions_is_found(
    after: int, revisions: list[int], missing: list[tuple[int, int]]
) -> None:
    assert list(gaps(after, revisions)) == missing
