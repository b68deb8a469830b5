"""The buckets that all hubs take from, in a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from hub.core.ratelimit import LONGEST_DEBT, Limit
from hub.core.ratesharing import AT_ONCE, Use
from hub.errors import Unavailable
from hub.store.sharedlimits import RedisLimits
from tests.redis_server import RedisServer
from tests.servers import free_port
from tests.waiting import until

PASSWORD = "hidden-word"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), password=PASSWORD) as running:
        yield running


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Any]:
    client: Any = Redis.from_url(server.url, protocol=2)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def limits(server: RedisServer, redis: Any) -> AsyncIterator[RedisLimits]:
    async with RedisLimits(server.url) as opened:
        yield opened


def use(key: str, tokens: int, interval: float = 1.0, *, ago: float = 0.0) -> Use:
    return Use(key, tokens, Limit(1 / interval, 10), 100.0 - ago)


async def test_what_several_take_adds_up(server: RedisServer, limits: RedisLimits) -> None:
    async with RedisLimits(server.url) as other:
        [one] = await limits.take([use("ada", 10)], 100.0)
        [both] = await other.take([use("ada", 20)], 100.0)
        [nothing, fresh] = await limits.take([use("ada", 0), use("bob", 1)], 100.0)
    assert 9.5 < one <= 10
    assert 29 < both <= 30
    assert 28 < nothing <= 30
    assert 0.5 < fresh <= 1


async def test_what_was_taken_a_while_ago_has_come_back_meanwhile(limits: RedisLimits) -> None:
    [long_full] = await limits.take([use("ada", 3, 0.1, ago=0.5)], 100.0)
    assert -0.3 < long_full <= -0.2
    [spread] = await limits.take([use("bob", 10, 0.1, ago=0.9)], 100.0)
    assert 0.0 < spread <= 0.1 + 1e-6
    [again] = await limits.take([use("bob", 10, 0.1, ago=0.9)], 100.0)
    assert 0.9 < again <= 1.1 + 1e-6, "it is the same time that both took from"


async def test_a_bucket_that_is_full_again_leaves_nothing_behind(limits: RedisLimits, redis: Any) -> None:
    await limits.take([use("ada", 1, 0.01)], 100.0)
    [key] = await redis.keys()
    assert key == b"{central-hub}:limit:ada"
    assert 0 < await redis.pttl(key) <= 1000
    await limits.take([use("ada", 30)], 100.0)
    assert 29_000 < await redis.pttl(key) <= 31_000


@pytest.mark.parametrize("found", [b"1e300", b"-5", b"what?", b"nan", b"inf"])
async def test_whatever_stands_there_nobody_owes_more_than_some_minutes(
    limits: RedisLimits, redis: Any, found: bytes
) -> None:
    await redis.set("{central-hub}:limit:ada", found)
    [ahead] = await limits.take([use("ada", 1)], 100.0)
    assert 0 < ahead <= LONGEST_DEBT + 10
    [ahead] = await limits.take([use("ada", 10**9)], 100.0)
    assert LONGEST_DEBT + 9 < ahead <= LONGEST_DEBT + 10


async def test_as_many_as_are_told_of_at_once_are_taken_in_their_order(limits: RedisLimits) -> None:
    found = await limits.take([use(f"service:{number}", number) for number in range(AT_ONCE)], 100.0)
    assert [round(each) for each in found] == list(range(AT_ONCE))
    assert await limits.take([], 100.0) == []


async def test_something_else_under_the_name_of_a_bucket_is_told(limits: RedisLimits, redis: Any) -> None:
    await redis.lpush("{central-hub}:limit:ada", "x")
    with pytest.raises(Unavailable, match="WRONGTYPE"):
        await limits.take([use("ada", 1)], 100.0)


async def test_nobody_there_is_told_without_the_password() -> None:
    async with RedisLimits(f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0") as nowhere:
        with pytest.raises(Unavailable) as raised:
            await nowhere.take([use("ada", 1)], 100.0)
    assert "refused" in raised.value.message.lower()
    assert PASSWORD not in raised.value.message


async def test_a_wrong_password_is_told_without_it(server: RedisServer) -> None:
    async with RedisLimits(server.url.replace(PASSWORD, "wrong-word")) as stranger:
        with pytest.raises(Unavailable, match=r"WRONGPASS|invalid username-password") as raised:
            await stranger.take([use("ada", 1)], 100.0)
    assert "wrong-word" not in raised.value.message


async def test_a_url_that_is_none_is_told() -> None:
    with pytest.raises(Unavailable, match="URL"):
        RedisLimits("http://somewhere")


async def test_one_that_is_frozen_killed_and_back_is_told_in_time_and_used_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as own:
        async with RedisLimits(own.url) as limits:
            await limits.take([use("ada", 1)], 100.0)
            own.pause()
            began = time.monotonic()
            with pytest.raises(Unavailable, match="no answer within 1 s"):
                await limits.take([use("ada", 1)], 100.0)
            assert time.monotonic() - began < 10
            own.resume()
            await until_taken(limits)
            own.kill()
            with pytest.raises(Unavailable):
                await limits.take([use("ada", 1)], 100.0)
            own.start()
            [ahead] = await until_taken(limits)
            assert 0 < ahead <= 2, "it has forgotten, and knows the script again"


async def until_taken(limits: RedisLimits) -> list[float]:
    found: list[list[float]] = []

    async def attempt() -> None:
        while not found:
            try:
                found.append(await limits.take([use("ada", 1)], 100.0))
            except Unavailable:
                await asyncio.sleep(0.05)

    task = asyncio.create_task(attempt())
    await until(lambda: found)
    await task
    return found[0]
