from __future__ import annotations

import pytest

from hub.core.outage import MassFailure


def fleet(size: int, failing: int) -> MassFailure:
    """So many instances that passed, so many of which fail now."""
    guard = MassFailure()
    for number in range(size):
        guard.note(f"engine.i{number}", passing=True, failing=number < failing)
    return guard


@pytest.mark.parametrize(
    ("size", "failing", "kept"),
    [(20, 20, False), (21, 10, False), (21, 11, True), (40, 19, False), (40, 20, True), (40, 40, True)],
)
def test_half_of_a_larger_fleet_that_fails_at_once_is_kept(size: int, failing: int, kept: bool) -> None:
    guard = fleet(size, failing)
    assert guard.keeps("engine.i0", "health") is kept
    assert (guard.doubt is not None) is kept


def test_what_was_kept_for_a_round_is_believed_in_the_next() -> None:
    guard = fleet(30, 30)
    assert guard.keeps("engine.i0", "health")
    assert guard.keeps("engine.i0", "metrics")
    assert not guard.keeps("engine.i0", "health")
    assert guard.keeps("engine.i1", "health")


def test_the_doubt_ends_with_the_last_that_was_kept() -> None:
    guard = fleet(30, 30)
    for key in ("engine.i0", "gateway.i1"):
        guard.note(key, passing=True, failing=True)
        guard.keeps(key, "health")
    assert guard.held_services() == {"engine", "gateway"}
    assert guard.doubt == "31 of 31 instances that passed fail within one round of probes"
    guard.note("engine.i0", passing=True, failing=False)
    assert guard.held_services() == {"gateway"}
    guard.note("gateway.i1", passing=False, failing=True)
    assert not guard.held_services()
    assert guard.doubt is None


def test_who_had_failed_before_does_not_count() -> None:
    guard = fleet(30, 0)
    for number in range(30):
        guard.note(f"dead.i{number}", passing=False, failing=True)
    assert not guard.is_on


def test_who_is_gone_does_not_count() -> None:
    guard = fleet(30, 15)
    assert guard.keeps("engine.i0", "health")
    for number in range(15):
        guard.forget(f"engine.i{number}")
    assert not guard.is_on
    assert guard.doubt is None
