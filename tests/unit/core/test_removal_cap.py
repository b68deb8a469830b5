from __future__ import annotations

import pytest

from hub.core.removal import WINDOW, RemovalCap


@pytest.mark.parametrize(("fleet", "allowed"), [(0, 0), (1, 1), (20, 20), (21, 3), (40, 6), (100, 15), (10_000, 1500)])
def test_more_than_20_are_capped_at_15_percent(fleet: int, allowed: int) -> None:
    assert RemovalCap().allowed(fleet, 0.0) == allowed


def test_what_was_removed_within_the_minute_counts_and_what_was_before_it_does_not() -> None:
    cap = RemovalCap()
    for n in range(10):
        cap.removed(float(n))
    assert cap.allowed(90, 10.0) == 5
    assert cap.allowed(90, WINDOW + 3.0) == 8
    assert cap.allowed(90, WINDOW + 9.0) == 13


def test_a_fleet_is_as_large_as_it_was_before_the_minute_s_removals() -> None:
    cap = RemovalCap()
    for _ in range(3):
        cap.removed(0.0)
    assert cap.allowed(18, 1.0) == 0
    assert cap.allowed(18, WINDOW) == 18
