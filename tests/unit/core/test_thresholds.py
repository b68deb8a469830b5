"""When what is seen again and again is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.condition import WELL, Condition, critical, together, warning
from hub.core.thresholds import Lasting, Recent, Settled, Unchanged

DOWN = critical("down")
SLOW = warning("slow")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([WELL], [WELL]),
        ([DOWN], [DOWN]),
        ([WELL, DOWN, WELL, DOWN], [WELL, WELL, WELL, WELL]),
        ([WELL, DOWN, DOWN, WELL], [WELL, WELL, DOWN, WELL]),
        ([WELL, SLOW, DOWN], [WELL, WELL, DOWN]),
        ([DOWN, SLOW, WELL, DOWN, DOWN], [DOWN, SLOW, WELL, WELL, DOWN]),
    ],
    ids=["well", "down at first", "single slips", "down and back", "any trouble counts", "trouble that changes"],
)
def test_trouble_is_told_when_it_is_seen_twice_in_a_row(found: list[Condition], told: list[Condition]) -> None:
    settled = Settled(fall=2)
    assert settled.condition is None
    assert [settled.take(each) for each in found] == told


@given(st.lists(st.sampled_from([WELL, SLOW, DOWN])), st.integers(1, 5))
def test_well_is_told_at_once_and_trouble_only_of_what_was_seen(found: list[Condition], fall: int) -> None:
    settled = Settled(fall)
    for each in found:
        told = settled.take(each)
        assert told in (WELL, each)
        if each.well:
            assert told.well


def test_what_must_last_is_true_only_after_it_has() -> None:
    lasting = Lasting(10)
    assert [lasting.take(so, now) for so, now in [(True, 0), (True, 10), (True, 10.1), (False, 11), (True, 12)]] == [
        False,
        False,
        True,
        False,
        False,
    ]


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 100)), max_size=40))
def test_the_peak_is_the_largest_of_what_is_not_too_old(steps: list[tuple[float, float]]) -> None:
    recent, now, noted = Recent(10), 0.0, []
    for passed, value in steps:
        now += passed
        noted.append((now, value))
        recent.note(value, now)
        assert recent.peak(now) == max(value for at, value in noted if now - at <= 10)
    assert recent.peak(now + 10.1) == 0


def test_the_whole_is_as_bad_as_its_worst_part_and_says_all_reasons_the_worst_first() -> None:
    assert together([WELL, WELL]) == WELL
    assert together([]) == WELL
    assert together([WELL, SLOW, DOWN]) == ("critical", "down; slow")
    assert warning("") == WELL


def test_what_has_been_the_same_for_long_enough_is_told_until_it_changes() -> None:
    still = Unchanged(10.0)
    looks = [(5, 0.0), (5, 10.0), (5, 10.1), (6, 11.0), (6, 21.5), (5, 22.0)]
    assert [still.take(value, now) for value, now in looks] == [False, False, True, False, True, False]
