from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from hub.client.retry import persist, wait_after
from hub.core.backoff import LONGEST_WAIT, backoff
from hub.errors import Conflict, RateLimited, Unavailable


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


async def test_who_has_asked_too_often_asks_again_after_the_time_that_was_named_and_never_before() -> None:
    loop = asyncio.get_running_loop()
    asked: list[float] = []

    async def attempt(timeout: float) -> str:
        asked.append(loop.time())
        if len(asked) < 3:
            raise RateLimited("too many", retry_after=0.3)
        return "done"

    assert await persist(attempt, within=30.0) == "done"
    assert all(later - earlier >= 0.3 for earlier, later in pairwise(asked))


async def test_a_time_that_is_named_after_the_end_of_the_patience_is_not_waited_for() -> None:
    asked: list[float] = []

    async def attempt(timeout: float) -> None:
        asked.append(timeout)
        raise RateLimited("too many", retry_after=60.0)

    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(RateLimited) as raised:
        await persist(attempt, within=30.0)
    assert (raised.value.retry_after, len(asked)) == (60.0, 1)
    assert loop.time() - began < 20


def test_those_who_were_told_the_same_time_do_not_all_come_at_once() -> None:
    waits = {wait_after(RateLimited("too many", retry_after=2.0), 1) for _ in range(50)}
    assert len(waits) > 40
    assert min(waits) > 2.0
