"""Canaries while the hubs that watch them are killed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from tests.calls import call, connected, insist
from tests.clients import service
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("config-faults")

_BRISK = {"HUB_LEADER_TTL": "1"}


async def tried(client: Client, bake: float) -> None:
    """Have `{"n": 2}` tried in place of `{"n": 1}`."""
    for number, canary in ((1, None), (2, {"bake": bake})):
        changes = [{"service": "engine", "values": {"n": number}}]
        done = await insist(client, "hub.config.put", {"changes": changes, "canary": canary})
        assert "revision" in done, done


async def put_for_all(client: Client) -> Any:
    return (await insist(client, "hub.config.get", {"service": "engine"}))["values"]


def leader_of(hubs: list[HubProcess]) -> HubProcess:
    [leader] = [hub for hub in hubs if " leading " in hub.output()]
    return leader


async def test_another_hub_promotes_what_the_one_that_was_killed_has_watched(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "hub1", nats_url=server.url, variables=_BRISK) as one,
        HubProcess(tmp_path / "hub2", nats_url=server.url, variables=_BRISK) as other,
    ):
        await until(lambda: " leading " in one.output() + other.output())
        leader = leader_of([one, other])
        async with connected(server.url) as client, service(server.url, "engine", "a1") as engine:
            await engine.config.load()
            await tried(client, bake=3)
            await until(lambda: engine.config.current == {"n": 2})
            leader.kill()
            assert await put_for_all(client) == {"n": 1}
            survivor = other if leader is one else one
            await until(lambda: "canary ended" in survivor.output(), "promoted", within=60)
            assert await put_for_all(client) == {"n": 2}


async def test_another_hub_takes_back_what_hurts_when_the_one_that_watched_was_killed(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "hub1", nats_url=server.url, variables=_BRISK) as one,
        HubProcess(tmp_path / "hub2", nats_url=server.url, variables=_BRISK) as other,
    ):
        await until(lambda: " leading " in one.output() + other.output())
        async with connected(server.url) as client, service(server.url, "engine", "a1") as engine:
            await engine.config.load()
            await tried(client, bake=600)
            await until(lambda: engine.config.current == {"n": 2})
            leader_of([one, other]).kill()
            engine.set_status("critical", "fills are rejected")
            await until(lambda: engine.config.current == {"n": 1}, "taken back", within=60)


async def test_a_canary_outlives_all_hubs(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "hub", nats_url=server.url, variables=_BRISK) as hub,
    ):
        async with connected(server.url) as client, service(server.url, "engine", "a1") as engine:
            await engine.config.load()
            await tried(client, bake=4)
            await until(lambda: engine.config.current == {"n": 2})
            hub.kill()
            hub.start()
            assert await put_for_all(client) == {"n": 1}
            assert engine.config.is_canary
            await until(lambda: not engine.config.is_canary, "promoted", within=60)
            assert (engine.config.current, await put_for_all(client)) == ({"n": 2}, {"n": 2})


@pytest.mark.parametrize("scope", ["engine", "_all"])
async def test_a_new_hub_asks_those_whose_next_beat_is_hours_away(tmp_path: Path, scope: str) -> None:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "hub", nats_url=server.url, variables=_BRISK) as hub,
    ):
        async with connected(server.url) as client, service(server.url, "engine", "a1", ttl=86_400) as engine:
            await engine.config.load()
            change = {"changes": [{"service": scope, "values": {"n": 2}}], "canary": {"bake": 3}}
            assert (await insist(client, "hub.config.put", change))["revision"]
            await until(lambda: engine.config.current == {"n": 2})
            hub.kill()
            hub.start()
            await until(lambda: not engine.config.is_canary, "ended", within=25)
            assert await put_for_all(client) == {"n": 2}


async def test_whichever_hub_is_asked_knows_what_another_has_just_begun_to_try(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "hub1", nats_url=server.url, variables=_BRISK),
        HubProcess(tmp_path / "hub2", nats_url=server.url, variables=_BRISK),
    ):
        async with connected(server.url) as client, service(server.url, "engine", "a1") as engine:
            await engine.config.load()
            for number in range(300):
                change = {"changes": [{"service": "engine", "values": {"n": number}}], "canary": {"bake": 600}}
                begun = await insist(client, "hub.config.put", change)
                assert begun.get("revision"), begun
                ended = await call(client, f"hub.config.{'promote' if number % 2 else 'abort'}", {"service": "engine"})
                assert ended.get("revision"), (number, ended)


async def test_an_outage_of_nats_neither_bakes_a_canary_nor_takes_it_back(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "hub", nats_url=server.url, variables=_BRISK) as hub,
    ):
        async with connected(server.url) as client, service(server.url, "engine", "a1") as engine:
            await engine.config.load()
            await tried(client, bake=12)
            await until(lambda: engine.config.current == {"n": 2})
            server.kill()
            await asyncio.sleep(14)
            server.start()
            await until(lambda: client.is_connected, within=20)
            back = asyncio.get_running_loop().time()
            await until(lambda: not engine.config.is_canary, "ended", within=60)
            assert asyncio.get_running_loop().time() - back > 8
            assert (engine.config.current, await put_for_all(client)) == ({"n": 2}, {"n": 2}), hub.output()
