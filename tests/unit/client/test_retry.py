from __future__ import annotations

import pytest

from hub.client.retry import LONGEST_WAIT, backoff, persist
from hub.errors import Conflict, Unavailable


def test_waits_grow_with_the_failures_and_stay_bounded() -> None:
    for failures in range(1, 2000):
        longest = min(LONGEST_WAIT, 0.1 * 2 ** min(failures - 1, 16))
        assert longest / 2 <= backoff(failures) <= longest


async def test_what_may_succeed_later_is_tried_again_until_it_does() -> None:
    attempts: list[float] = []

    async def attempt(timeout: float) -> str:
        attempts.append(timeout)
        if len(attempts) < 3:
            raise Unavailable("not yet")
        return "done"

    assert await persist(attempt, within=30.0) == "done"
    assert len(attempts) == 3


async def test_what_will_never_succeed_is_raised_at_once() -> None:
    attempts: list[float] = []

    async def attempt(timeout: float) -> None:
        attempts.append(timeout)
        raise Conflict("taken", field="instance_id")

    with pytest.raises(Conflict) as raised:
        await persist(attempt, within=30.0)
    assert raised.value.field == "instance_id"
    assert len(attempts) == 1


async def test_the_last_failure_is_raised_when_the_time_is_over() -> None:
    async def attempt(timeout: float) -> None:
        raise Unavailable("nobody there")

    with pytest.raises(Unavailable, match="nobody there"):
        await persist(attempt, within=0.3)
