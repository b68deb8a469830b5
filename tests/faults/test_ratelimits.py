"""Rate limits that two hubs share through a Redis, and what becomes of them when that is frozen or killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from hub.app import Hub
from hub.settings import load
from hub.wire import subjects
from tests.accounts import ProvingServer, proven_hub
from tests.redis_server import RedisServer
from tests.servers import free_port
from tests.waiting import until

ENGINE = "service:engine"


@pytest.fixture(scope="module")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProvingServer]:
    with ProvingServer(tmp_path_factory.mktemp("nats"), (ENGINE,)) as server:
        yield server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", password="hidden-word") as server:
        yield server


@asynccontextmanager
async def two_hubs(server: ProvingServer, cache_url: str, **limits: object) -> AsyncIterator[tuple[Hub, Hub]]:
    """Two hubs on one NATS, with these limits and this cache, that know of each other."""
    overrides = {f"ratelimits.{name}": value for name, value in limits.items()}
    settings = load(overrides={"micro.adopt": False, "platform.cache_url": cache_url, **overrides})
    async with AsyncExitStack() as stack:
        hubs = [await stack.enter_async_context(proven_hub(server.url, server.keys, settings)) for _ in range(2)]
        await until(lambda: all(b"hub_replicas 2.0" in hub.scrape()[0] for hub in hubs))
        yield hubs[0], hubs[1]


def shared(hub: Hub) -> bool:
    return b"hub_rate_limits_shared 1.0" in hub.scrape()[0]


def reason(hub: Hub) -> str:
    return str(hub.details()["reason"])


async def admitted(client: Client, amount: int) -> int:
    """How many of so many requests at once are let through."""
    replies = await asyncio.gather(*(client.request(subjects.SERVICES, b"{}", timeout=30) for _ in range(amount)))
    return sum("Nats-Service-Error-Code" not in (reply.headers or {}) for reply in replies)


async def test_two_hubs_let_through_together_what_one_would(proving: ProvingServer, redis: RedisServer) -> None:
    rate, burst, seconds, late = 50.0, 10, 5.0, 1.0
    async with (
        two_hubs(proving, redis.url, discover_rate=rate, discover_burst=burst) as hubs,
        proving.connected(ENGINE) as engine,
    ):
        await until(lambda: all(map(shared, hubs)))
        began = time.monotonic()
        found = 0
        while (took := time.monotonic() - began) < seconds:
            found += await admitted(engine, 50)
        bound = burst + rate * (took + late) + burst + rate * late
        assert rate * took / 2 < found <= bound
        assert bound < 2 * (burst + rate * took), "each for itself would let through more"
        assert all(hub.metrics.rate_limited["discover", "service"] > 0 for hub in hubs), "both were asked"


async def test_a_frozen_cache_delays_nobody_and_each_hub_goes_on_alone_until_it_answers(
    proving: ProvingServer, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        two_hubs(proving, redis.url, discover_rate=0.001, discover_burst=20) as hubs,
        proving.connected(ENGINE) as engine,
    ):
        await until(lambda: all(map(shared, hubs)))
        redis.pause()
        began = time.monotonic()
        assert await admitted(engine, 300) == 40, "a burst at each"
        for _ in range(50):
            assert await admitted(engine, 1) == 0
        assert time.monotonic() - began < 20, "no request has waited for the cache"
        for hub in hubs:
            await until(lambda hub=hub: "rate limits are not shared (cache: no answer within 1 s)" in reason(hub))  # type: ignore[misc]
            assert "each hub lets through as much as it would alone" in reason(hub)
            assert hub.checks()["hub"] == "degraded"
            assert not shared(hub)
        redis.resume()
        await until(lambda: all(map(shared, hubs)))
        assert not any("rate limits" in reason(hub) for hub in hubs)


async def test_a_killed_cache_leaves_each_hub_its_share_where_the_limits_must_hold(
    proving: ProvingServer, redis: RedisServer
) -> None:
    limits = {"discover_rate": 0.001, "discover_burst": 20, "on_cache_loss": "closed"}
    async with two_hubs(proving, redis.url, **limits) as hubs, proving.connected(ENGINE) as engine:
        await until(lambda: all(map(shared, hubs)))
        redis.kill()
        for hub in hubs:
            await until(lambda hub=hub: "each hub lets through its share alone" in reason(hub))  # type: ignore[misc]
            assert "(cache: connection refused)" in reason(hub)
            assert "hidden-word" not in reason(hub)
        assert await admitted(engine, 300) == 20, "ten at each"
        redis.start()
        await until(lambda: all(map(shared, hubs)))


async def test_what_was_let_through_while_the_cache_was_away_is_not_paid_for_afterwards(
    proving: ProvingServer, redis: RedisServer
) -> None:
    async with (
        two_hubs(proving, redis.url, discover_rate=20.0, discover_burst=100) as hubs,
        proving.connected(ENGINE) as engine,
    ):
        redis.kill()
        await until(lambda: not any(map(shared, hubs)))
        assert await admitted(engine, 1000) >= 200
        redis.start()
        await until(lambda: all(map(shared, hubs)))
        began = time.monotonic()
        while not await admitted(engine, 1):
            assert time.monotonic() - began < 4, "what both let through would take ten seconds to come back"
            await asyncio.sleep(0.02)


async def test_a_hub_without_a_way_to_the_cache_limits_by_itself_and_says_so(proving: ProvingServer) -> None:
    async with (
        two_hubs(
            proving, f"redis://:hidden-word@127.0.0.1:{free_port()}/0", discover_rate=0.001, discover_burst=5
        ) as hubs,
        proving.connected(ENGINE) as engine,
    ):
        for hub in hubs:
            await until(lambda hub=hub: "rate limits are not shared" in reason(hub))  # type: ignore[misc]
            assert "hidden-word" not in reason(hub)
        assert await admitted(engine, 200) == 10


async def test_tokens_taken_at_one_hub_are_missing_at_the_other(proving: ProvingServer, redis: RedisServer) -> None:
    async with (
        two_hubs(proving, redis.url, discover_rate=0.001, discover_burst=20) as hubs,
        proving.connected(ENGINE) as engine,
    ):
        await until(lambda: all(map(shared, hubs)))
        found, quiet = 0, 0
        while quiet < 10:
            one = await admitted(engine, 1)
            found, quiet = found + one, 0 if one else quiet + 1
            await asyncio.sleep(0.15)  # others are told meanwhile, unless the machine is very busy
        assert 20 <= found <= 35
