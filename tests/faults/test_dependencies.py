"""The hub without what it depends on: it serves on, and says so on `/health` and `hub.health.*` until all is back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.calls import connected, ids, register
from tests.clients import eventually
from tests.hubs import HubProcess
from tests.instance import InstanceProcess
from tests.kafka_mock import MockKafka
from tests.postgres_server import PostgresServer
from tests.process import ServerProcess
from tests.redis_server import RedisServer
from tests.servers import NatsCluster, NatsServer
from tests.waiting import end, until

PASSWORD = "hidden-word"
QUICK = {"HUB_HEALTH_DEPENDENCY_INTERVAL": "0.2", "HUB_HEALTH_DEPENDENCY_TIMEOUT": "1"}


class Observed:
    """A hub, looked at over HTTP, and what it publishes about one of its parts."""

    def __init__(self, hub: HubProcess, part: str, http: httpx.AsyncClient, client: Client) -> None:
        self.hub = hub
        self.part = part
        self.http = http
        self.client = client
        self.reports: list[dict[str, Any]] = []

    async def hear(self, message: Msg) -> None:
        self.reports.append(json.loads(message.data))

    async def health(self) -> dict[str, Any]:
        """The body of `/health`, with the status of the answer as `http`."""
        answer = await self.http.get("/health")
        return {**answer.json(), "http": answer.status_code}

    async def until_health(self, overall: str, of_part: str, reason: str = "") -> dict[str, Any]:
        """Return the first `/health` that says so of the hub and of its part, for a reason with these words in it."""
        deadline = asyncio.get_running_loop().time() + 60
        while True:
            found = await self.health()
            so = (found["status"], found["checks"][self.part]) == (overall, of_part)
            if so and reason in found["details"]["dependencies"].get(self.part, {}).get("reason", ""):
                return found
            assert asyncio.get_running_loop().time() < deadline, f"not {overall}, {self.part} {of_part}: {found}"
            await asyncio.sleep(0.02)

    async def until_told(self, status: str) -> dict[str, Any]:
        """Return the next report that the part has this status."""
        await until(lambda: self.reports and self.reports[-1]["status"] == status, f"{self.part} is told {status}")
        return self.reports[-1]

    async def everything(self) -> str:
        """All that the hub has let out of itself."""
        pages = [(await self.http.get(path)).text for path in ("/health", "/metrics")]
        return "\n".join([*pages, json.dumps(self.reports), self.hub.output()])


@asynccontextmanager
async def observed(folder: Path, part: str, **variables: str) -> AsyncIterator[Observed]:
    """A hub with these settings."""
    with HubProcess(folder / "hub", variables={**QUICK, "LOG_LEVEL": "debug", **variables}) as hub:
        async with httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http, connected(hub.nats_url) as client:
            seen = Observed(hub, part, http, client)
            await client.subscribe(f"hub.health.{part}", cb=seen.hear)
            await client.flush()
            yield seen


async def goes_down_and_comes_back(seen: Observed, down: Callable[[], object], back: Callable[[], object]) -> None:
    """Whatever happens to the part, the hub serves on and tells."""
    await seen.until_health("healthy", "healthy")
    assert (await seen.until_told("passing"))["service"] == seen.part
    await asyncio.to_thread(down)
    health = await seen.until_health("degraded", "unhealthy")
    assert health["http"] == 200
    detail = health["details"]["dependencies"][seen.part]
    assert detail["status"] == "unhealthy"
    assert detail["reason"]
    told = await seen.until_told("critical")
    assert told["reason"]
    assert told["instances"][0]["instance_id"] == health["details"]["hub_id"]
    assert f'hub_dependency_up{{dependency="{seen.part}"}} 0.0' in (await seen.http.get("/metrics")).text
    assert "revision" in await register(seen.client, "meanwhile")
    assert await ids(seen.client, "meanwhile") == ["meanwhile-1"]
    assert (await seen.http.get("/livez")).status_code == (await seen.http.get("/readyz")).status_code == 200
    await asyncio.to_thread(back)
    health = await seen.until_health("healthy", "healthy")
    assert health["details"]["dependencies"][seen.part]["latency"] > 0
    await seen.until_told("passing")


def servers(kind: str, folder: Path) -> tuple[ServerProcess, str]:
    """A database or a cache, and the variable that configures it."""
    if kind == "database":
        return PostgresServer(password=PASSWORD), "DATABASE_URL"
    return RedisServer(folder / "redis", password=PASSWORD), "CACHE_URL"


@pytest.mark.parametrize("part", ["database", "cache"])
async def test_a_server_that_is_stopped_and_started_again_is_missed_and_welcomed(tmp_path: Path, part: str) -> None:
    server, variable = servers(part, tmp_path)
    with server:
        async with observed(tmp_path, part, **{variable: server.url}) as seen:  # type: ignore[attr-defined]
            await goes_down_and_comes_back(seen, server.stop, server.start)
            assert PASSWORD not in await seen.everything()


@pytest.mark.parametrize("part", ["database", "cache"])
async def test_a_server_that_is_frozen_is_as_good_as_none(tmp_path: Path, part: str) -> None:
    server, variable = servers(part, tmp_path)
    with server:
        async with observed(tmp_path, part, **{variable: server.url}) as seen:  # type: ignore[attr-defined]
            await goes_down_and_comes_back(seen, server.pause, server.resume)
            assert PASSWORD not in await seen.everything()


async def test_a_kafka_that_goes_is_missed(tmp_path: Path) -> None:
    with MockKafka() as kafka:
        async with observed(tmp_path, "kafka", KAFKA_BROKERS=",".join(kafka.brokers)) as seen:
            await seen.until_health("healthy", "healthy")
            kafka.stop()
            await seen.until_health("degraded", "unhealthy")
            await seen.until_told("critical")
            assert "revision" in await register(seen.client, "meanwhile")


async def test_dependencies_that_are_down_at_the_start_keep_nobody_waiting(tmp_path: Path) -> None:
    server, _ = servers("cache", tmp_path)
    urls = {
        "DATABASE_URL": f"postgresql://hub:{PASSWORD}@127.0.0.1:1/platform",
        "CACHE_URL": server.url,  # type: ignore[attr-defined]
        "KAFKA_BROKERS": "127.0.0.1:1",
    }
    async with observed(tmp_path, "cache", **urls) as seen:
        health = await seen.until_health("degraded", "unhealthy")
        assert "revision" in await register(seen.client, "meanwhile")
        with server:
            await seen.until_health("degraded", "healthy")
            await seen.until_told("passing")
            health = await seen.health()
            assert {name: health["checks"][name] for name in ("database", "kafka", "nats")} == {
                "database": "unhealthy",
                "kafka": "unhealthy",
                "nats": "healthy",
            }
        assert PASSWORD not in await seen.everything()


async def test_a_password_that_is_refused_is_shown_nowhere(tmp_path: Path) -> None:
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer(password="another"))
        redis = stack.enter_context(RedisServer(tmp_path / "redis", password="another"))
        urls = {
            "DATABASE_URL": postgres.url_for("hub", PASSWORD),
            "CACHE_URL": f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0",
        }
        async with observed(tmp_path, "database", **urls) as seen:
            health = await seen.until_health("degraded", "unhealthy")
            assert "password authentication failed" in health["details"]["dependencies"]["database"]["reason"]
            assert health["checks"]["cache"] == "unhealthy"
            await seen.until_told("critical")
            assert PASSWORD not in await seen.everything()


async def test_what_is_not_configured_is_not_reported_on(tmp_path: Path) -> None:
    async with observed(tmp_path, "*") as seen:
        await until(lambda: {report["service"] for report in seen.reports} >= {"hub", "nats"})
        assert {report["service"] for report in seen.reports} == {"hub", "nats"}
        assert set((await seen.health())["details"]["dependencies"]) == {"nats"}


async def test_a_nats_that_is_restarted_under_load_makes_the_hub_unhealthy_for_as_long_and_expires_nobody(
    tmp_path: Path,
) -> None:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "hub", nats_url=server.url, variables=QUICK) as hub,
        InstanceProcess(server.url, "steady", "s1", ttl=3),
    ):
        async with (
            httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http,
            connected(server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1) as client,
        ):
            seen = Observed(hub, "nats", http, client)
            expired: list[Msg] = []

            async def on_expiry(message: Msg) -> None:
                expired.append(message)

            await client.subscribe("hub.events.service.expired", cb=on_expiry)
            asking = [asyncio.create_task(keep_asking(client, number)) for number in range(8)]
            await seen.until_health("healthy", "healthy")
            for _ in range(2):
                await asyncio.to_thread(server.kill)
                health = await seen.until_health("unhealthy", "unhealthy")
                assert health["http"] == 503
                assert (await http.get("/livez")).status_code == 200, "to restart the hub would not help"
                assert (await http.get("/readyz")).status_code == 503
                await asyncio.to_thread(server.start)
                await seen.until_health("healthy", "healthy")
            assert await ids(client, "steady") == ["s1"]
            assert (await http.get("/metrics")).text.count("hub_nats_reconnects_total 2.0") == 1
            await end(*asking)
            assert expired == []
            tasks = (await seen.health())["details"]["tasks"]
            assert {task["restarts"] for task in tasks.values()} == {0}, "an outage is no failure of a task"


async def keep_asking(client: Client, number: int) -> None:
    """Register and discover without a pause, whatever comes of it."""
    while True:
        try:
            await register(client, f"asking-{number}", timeout=1)
            await ids(client, "steady")
        except Exception:  # noqa: BLE001  # NATS is away: that is what this is about
            await asyncio.sleep(0.05)


async def test_a_stream_held_by_fewer_servers_than_wanted_degrades_the_hub_and_nothing_more(tmp_path: Path) -> None:
    with (
        NatsCluster(tmp_path / "cluster") as cluster,
        HubProcess(tmp_path / "hub", nats_url=",".join(cluster.urls), variables=QUICK) as hub,
    ):
        async with (
            httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http,
            connected(cluster.urls, max_reconnect_attempts=-1, reconnect_time_wait=0.1) as client,
        ):
            seen = Observed(hub, "nats", http, client)
            await seen.until_health("healthy", "healthy")
            info = await client.jetstream().stream_info("KV_hub-registry")
            assert info.cluster is not None
            assert info.cluster.leader
            leader = cluster.named(info.cluster.leader)
            follower = next(server for server in cluster.servers if server is not leader)
            follower.kill()
            health = await seen.until_health("degraded", "degraded", "complete on 2 of its 3 servers")
            assert health["http"] == 200
            follower.start()
            await seen.until_health("healthy", "healthy")


async def test_a_stream_that_lost_its_replicas_gets_them_back(tmp_path: Path) -> None:
    with (
        NatsCluster(tmp_path / "cluster") as cluster,
        HubProcess(tmp_path / "hub", nats_url=",".join(cluster.urls), variables=QUICK) as hub,
    ):
        async with httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http, connected(cluster.urls) as client:
            seen = Observed(hub, "nats", http, client)
            await seen.until_health("healthy", "healthy")
            jetstream = client.jetstream()

            async def replicas() -> int | None:
                return (await jetstream.stream_info("HUB_EVENTS")).config.num_replicas

            assert await replicas() == 3
            config = (await jetstream.stream_info("HUB_EVENTS")).config
            config.num_replicas = 1
            await jetstream.update_stream(config)

            async def whole() -> bool:
                return await replicas() == 3

            await eventually(whole, "the hub asks for its replicas")
            await seen.until_health("healthy", "healthy")
