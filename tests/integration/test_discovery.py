"""Discovering, over a real NATS, by plain requests."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from nats.aio.client import Client

from tests.calls import call, discover, ids, refusal, register
from tests.hubs import HubProcess


async def test_filters_and_strategies_work_over_the_wire(client: Client) -> None:
    await register(client, "fleet", "f1", port=1, tags=["blue"], version="1.4.2", zone="eu", weight=300)
    await register(client, "fleet", "f2", port=2, tags=["green"], version="2.0.0", zone="us", weight=100)
    capable = {"capabilities": ["quantum-pricing"]}
    await register(client, "fleet", "f3", port=3, version="1.5.0", zone="eu", metadata=capable)
    assert await ids(client, "fleet") == ["f1", "f2", "f3"]
    assert await ids(client, "fleet", tags=["blue"]) == ["f1"]
    assert await ids(client, "fleet", version=">=1.2,<2") == ["f1", "f3"]
    assert await ids(client, "fleet", zone="us") == ["f2"]
    assert await ids(client, "fleet", capabilities=["quantum-pricing"]) == ["f3"]
    assert await ids(client, "", capabilities=["quantum-pricing"]) == ["f3"]
    assert await ids(client, "fleet", zone="us", strategy="nearest", limit=1) == ["f2"]
    turns = Counter([(await ids(client, "fleet", strategy="round_robin"))[0] for _ in range(9)])
    assert turns == {"f1": 3, "f2": 3, "f3": 3}
    for strategy in ("random", "weighted", "least_loaded"):
        assert len(await ids(client, "fleet", strategy=strategy, limit=2)) == 2


async def test_an_unknown_service_is_an_empty_list(client: Client) -> None:
    answer = await discover(client, "nobody-here")
    assert (answer["instances"], answer["degraded"], answer["next"]) == ([], False, None)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"name": "fleet", "version": "banana"}, "version"),
        ({"name": "fleet", "version": ",".join([">=1"] * 50)}, "version"),
        ({"name": "fleet", "strategy": "psychic"}, "strategy"),
        ({"name": "fleet", "wait": 9999}, "wait"),
        ({"name": "fleet", "limit": -1}, "limit"),
        ({}, "name"),
    ],
)
async def test_an_absurd_question_is_refused(client: Client, message: Any, field: str) -> None:
    error = await refusal(client, "hub.discover", message)
    assert (error["code"], error["field"]) == ("invalid_request", field)


async def test_a_blocking_query_returns_at_the_next_change_of_its_service(client: Client) -> None:
    await register(client, "watched")
    before = await discover(client, "watched")
    question = discover(client, "watched", min_revision=before["revision"] + 1, wait=20)
    waiting = asyncio.create_task(question)
    await register(client, "unrelated")
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done, "another service's change woke it"
    changed = await register(client, "watched", "b2", port=9)
    after = await asyncio.wait_for(waiting, 10)
    assert after["revision"] == changed["revision"]
    assert len(after["instances"]) == 2


async def test_a_blocking_query_returns_after_its_wait_with_what_there_is(client: Client) -> None:
    await register(client, "unchanged")
    began = time.monotonic()
    answer = await discover(client, "unchanged", min_revision=10**9, wait=0.3)
    assert time.monotonic() - began >= 0.3
    assert len(answer["instances"]) == 1


async def test_five_thousand_instances_come_page_by_page(client: Client) -> None:
    metadata = {"padding": "x" * 400}
    for start in range(0, 5000, 250):
        batch = range(start, start + 250)
        await asyncio.gather(
            *(register(client, "legion", f"l{n:05}", port=n + 1, metadata=metadata, timeout=30) for n in batch)
        )
    seen: list[str] = []
    after: str | None = ""
    pages = 0
    while after is not None:
        answer = await discover(client, "legion", after=after)
        seen += [instance["instance_id"] for instance in answer["instances"]]
        after = answer["next"]
        pages += 1
    assert seen == [f"l{n:05}" for n in range(5000)]
    assert pages >= 3


async def test_ten_thousand_services_are_listed_page_by_page(hub: HubProcess, client: Client) -> None:
    for start in range(0, 10_000, 250):
        batch = range(start, start + 250)
        await asyncio.gather(*(register(client, f"many-{n:05}-{'x' * 40}", f"m{n}", timeout=30) for n in batch))
    seen: list[str] = []
    after: str | None = ""
    pages = 0
    while after is not None:
        answer = await call(client, "hub.services", {"after": after})
        seen += [row["name"] for row in answer["services"]]
        after = answer["next"]
        pages += 1
    assert [name for name in seen if name.startswith("many-")] == [f"many-{n:05}-{'x' * 40}" for n in range(10_000)]
    assert seen == sorted(seen)
    assert pages >= 2
