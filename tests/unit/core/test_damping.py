from __future__ import annotations

import pytest

from hub.core.damping import LONGEST, MEMORY, probation, relapses_now


@pytest.mark.parametrize(
    ("relapses", "seconds"),
    [
        (-1, 0.0),
        (0, 0.0),
        (1, 2.0),
        (2, 4.0),
        (3, 8.0),
        (4, 16.0),
        (5, 32.0),
        (6, LONGEST),
        (32, LONGEST),
        (9999, LONGEST),
    ],
)
def test_each_relapse_doubles_the_probation_up_to_a_minute(relapses: int, seconds: float) -> None:
    assert probation(relapses) == seconds


@pytest.mark.parametrize(
    ("relapses", "recovered", "now", "after"),
    [
        (0, None, 100.0, 0),
        (0, float("-inf"), 100.0, 0),
        (0, 99.0, 100.0, 1),
        (3, 99.0, 100.0, 4),
        (3, 0.0, MEMORY + 1.0, 0),
    ],
)
def test_falling_back_soon_after_a_recovery_is_a_relapse(
    relapses: int, recovered: float | None, now: float, after: int
) -> None:
    assert relapses_now(relapses, recovered, now) == after


def test_the_count_is_bounded_since_it_is_stored() -> None:
    relapses = 0
    for n in range(1000):
        relapses = relapses_now(relapses, float(n), float(n + 1))
    assert relapses == 32
