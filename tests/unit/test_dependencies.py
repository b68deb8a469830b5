"""What the hub knows of a dependency, and what it makes of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from hub.handlers.clock import Clock
from hub.handlers.dependencies import Dependency, Pace, dependencies
from hub.probes import Outcome
from hub.settings import load

UP = Outcome(True, "login and query answered", 0.004)
DOWN = Outcome(False, "connection refused", 0.001)
MOMENTS = [datetime(2030, 1, 1, 12, 0, second, tzinfo=UTC) for second in range(60)]


def looked_at(*outcomes: Outcome) -> Dependency:
    """A dependency of which so much was found; every look at the clock finds it a second later."""
    found, moments = iter(outcomes), iter(MOMENTS)

    async def prober() -> Outcome:
        return next(found)

    async def look_at_all() -> None:
        for _ in outcomes:
            await dependency.look()

    dependency = Dependency("database", prober, Pace(), Clock(wall=lambda: next(moments)))
    asyncio.run(look_at_all())
    return dependency


@pytest.mark.parametrize(
    ("outcomes", "status", "reason"),
    [
        ([], "degraded", "not looked at yet"),
        ([UP], "healthy", ""),
        ([DOWN], "unhealthy", "connection refused"),
        ([UP, DOWN], "healthy", ""),
        ([UP, DOWN, DOWN], "unhealthy", "connection refused"),
        ([UP, DOWN, DOWN, UP], "healthy", ""),
    ],
)
def test_a_dependency_is_down_after_two_looks_and_up_after_one(
    outcomes: list[Outcome], status: str, reason: str
) -> None:
    described = looked_at(*outcomes).describe()
    assert (described["status"], described["reason"]) == (status, reason)


def test_since_is_when_it_changed_and_latency_that_of_the_newest_good_look() -> None:
    dependency = looked_at(UP, DOWN, DOWN, DOWN)
    assert dependency.describe()["since"] == MOMENTS[2].isoformat(), "made, found well, found down"
    assert dependency.latency == 0.004


def test_a_prober_that_does_not_keep_its_time_is_given_up() -> None:
    async def prober() -> Outcome:
        await asyncio.Event().wait()
        return UP

    async def look() -> str:
        dependency = Dependency("cache", prober, Pace(timeout=-0.99), Clock())
        await dependency.look()
        return dependency.condition.reason

    assert asyncio.run(look()) == "no answer within 0.01 s"


def test_only_what_is_configured_is_looked_at() -> None:
    none = load(environ={})
    assert dependencies(none, Clock()) == []
    everything = {
        "platform.database_url": "postgresql://hub@db/platform",
        "platform.cache_url": "redis://cache:6379/0",
        "platform.kafka_brokers": ["kafka:9092"],
        "health.dependency_interval": 60.0,
    }
    found = dependencies(load(overrides=everything, environ={}), Clock())
    assert [each.name for each in found] == ["database", "cache", "kafka"]
    assert all(each.bound > 60 for each in found)
