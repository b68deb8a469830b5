"""Callers who ask too often, with real hubs: on NATS by who they are, over HTTP by where they come from."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from hub.app import Hub
from hub.cli.failure import tell
from hub.client import CentralHubClient
from hub.errors import RateLimited
from hub.settings import load
from hub.sidecar.server import Sidecar
from hub.telemetry.metrics import Metrics
from hub.wire import subjects
from tests.accounts import ProvingServer, proven_hub
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import until

ENGINE, GATEWAY, ADA = "service:engine", "service:gateway", "operator:ada"


@pytest.fixture(scope="module")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProvingServer]:
    with ProvingServer(tmp_path_factory.mktemp("nats"), (ENGINE, GATEWAY, ADA)) as server:
        yield server


@asynccontextmanager
async def serving(server: ProvingServer, path: Path | None = None, **limits: object) -> AsyncIterator[Hub]:
    """A hub to which callers prove who they are, with these limits."""
    overrides = {f"ratelimits.{name}": value for name, value in limits.items()}
    settings = load(path, overrides={"micro.adopt": False, **overrides})
    async with proven_hub(server.url, server.keys, settings) as hub:
        yield hub


async def ask(client: Client, subject: str = subjects.SERVICES) -> tuple[dict[str, Any], dict[str, str]]:
    """The decoded reply, and its headers."""
    reply = await client.request(subject, b"{}", timeout=10)
    return json.loads(reply.data), dict(reply.headers or {})


async def flood(client: Client, amount: int, subject: str = subjects.SERVICES) -> list[dict[str, Any]]:
    """The replies to so many requests at once."""
    return [reply for reply, _ in await asyncio.gather(*(ask(client, subject) for _ in range(amount)))]


def refused(replies: list[dict[str, Any]]) -> int:
    return sum(reply.get("error", {}).get("code") == "rate_limited" for reply in replies)


# --- on NATS


async def test_who_asks_too_often_is_told_when_to_ask_again_and_nobody_else_is_refused(proving: ProvingServer) -> None:
    async with (
        serving(proving, discover_rate=0.5, discover_burst=5) as hub,
        proving.connected(ENGINE) as engine,
        proving.connected(ENGINE) as sibling,
        proving.connected(GATEWAY) as gateway,
    ):
        assert refused(await flood(engine, 20)) == 15
        reply, headers = await ask(sibling)
        error = reply["error"]
        assert (error["code"], error["retryable"], headers["Nats-Service-Error-Code"]) == ("rate_limited", True, "429")
        assert 0 < error["retry_after"] <= 2
        assert headers["Retry-After"] == str(ceil(error["retry_after"]))
        assert error["message"].startswith(
            "discover: expected at most 0.5 requests a second from service:engine, and 5 at once, got more; ask again"
        )
        assert refused(await flood(gateway, 5)) == 0
        assert refused(await flood(engine, 5, subjects.CONFIG_STATUS)) == 0, "another kind is not touched"
        await asyncio.sleep(error["retry_after"])
        assert "error" not in (await ask(engine))[0]
        assert hub.metrics.rate_limited == {("discover", "service"): 16}
        text, _ = hub.scrape()
        assert b'hub_rate_limited_total{class="discover",role="service"} 16.0' in text
        assert b'outcome="rate_limited",subject="hub.services"} 16.0' in text


async def test_each_role_counts_for_itself_and_limits_can_be_turned_off(proving: ProvingServer) -> None:
    async with proving.connected(ADA) as ada:
        async with serving(proving, admin_rate=0.1, admin_burst=3) as hub:
            assert refused(await flood(ada, 10, subjects.ADMIN_GET)) == 7
            assert hub.metrics.rate_limited == {("admin", "operator"): 7}
        async with serving(proving, admin_rate=0.1, admin_burst=3, enabled=False):
            assert refused(await flood(ada, 10, subjects.ADMIN_GET)) == 0


async def test_a_flood_of_beats_is_dropped_before_it_is_read_and_siblings_are_heard(proving: ProvingServer) -> None:
    async with (
        serving(proving, heartbeat_rate=1, heartbeat_burst=10) as hub,
        proving.connected(ENGINE) as engine,
    ):
        for instance in ("a1", "a2"):
            offer = {"name": "engine", "host": "127.0.0.1", "port": 1, "instance_id": instance}
            await engine.request(subjects.REGISTER, json.dumps(offer).encode(), timeout=10)
        for _ in range(500):
            await engine.publish(subjects.heartbeat("engine.a1"), b"not understood")
        await engine.publish(subjects.heartbeat("engine.a2"), b"not understood")
        for number in range(500):
            await engine.publish(subjects.heartbeat(f"engine.unknown-{number}"), b"not understood")
        await engine.publish(subjects.heartbeat("engine.a2"), b'{"load":7}')
        entry = hub.registry.catalog.entries["engine.a2"]
        await until(lambda: entry.instance.load == 7)
        assert hub.metrics.heartbeats <= 10 + 1 + 10 + 1 + 5
        assert hub.metrics.bad_heartbeats == hub.metrics.heartbeats - 1
        assert hub.metrics.rate_limited["heartbeat", "service"] >= 970


# --- the SDK and the command


async def test_the_sdk_waits_as_long_as_it_is_told_and_gets_its_answer(proving: ProvingServer) -> None:
    async with (
        serving(proving, discover_rate=2, discover_burst=2) as hub,
        CentralHubClient("engine", nats_url=proving.url, timeout=20) as client,
    ):
        began = time.monotonic()
        for _ in range(6):
            await client.services()
        assert time.monotonic() - began >= 4 / 2 - 0.05
        assert hub.metrics.rate_limited["discover", "service"] <= 8, "it does not ask before its time"


async def test_the_sdk_raises_at_once_when_its_time_is_too_short_and_says_when_to_come(
    proving: ProvingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        serving(proving, discover_rate=0.05, discover_burst=1),
        CentralHubClient("engine", nats_url=proving.url, timeout=5) as client,
    ):
        await client.services()
        began = time.monotonic()
        with pytest.raises(RateLimited) as raised:
            await client.services()
        assert time.monotonic() - began < 4
        assert raised.value.retry_after is not None
        assert 15 < raised.value.retry_after <= 20
        tell(raised.value, as_json=False)
        said = capsys.readouterr().err
        assert "discover: expected at most 0.05 requests a second from service:engine" in said
        assert "ask again in" in said
        tell(raised.value, as_json=True)
        assert json.loads(capsys.readouterr().err)["error"]["retry_after"] == raised.value.retry_after


# --- over HTTP


def from_address(hub: Sidecar, address: str) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(local_address=address)
    return httpx.AsyncClient(base_url=hub.url, transport=transport, timeout=10)


@asynccontextmanager
async def open_to_all(server: NatsServer, **limits: object) -> AsyncIterator[tuple[Hub, Sidecar]]:
    """A hub to which nobody proves who he is."""
    overrides = {f"ratelimits.{name}": value for name, value in limits.items()}
    settings = load(overrides={"http.port": 0, "micro.adopt": False, **overrides})
    metrics = Metrics()
    async with Hub(settings, [server.url], metrics=metrics) as hub, Sidecar(hub, settings.http, metrics) as sidecar:
        yield hub, sidecar


async def test_where_nobody_is_proven_http_is_limited_by_address_if_it_is_to_be(nats_server: NatsServer) -> None:
    async with (
        open_to_all(nats_server, enabled=True, discover_rate=0.2, discover_burst=3) as (hub, sidecar),
        from_address(sidecar, "127.0.0.1") as one,
        from_address(sidecar, "127.0.0.2") as other,
    ):
        answers = [await one.get("/discovery/services") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        problem = answers[-1].json()
        assert answers[-1].headers["content-type"] == "application/problem+json"
        assert (problem["code"], problem["status"]) == ("rate_limited", 429)
        assert 0 < problem["retry_after"] <= 5
        assert answers[-1].headers["retry-after"] == str(ceil(problem["retry_after"]))
        assert "from address:127.0.0.1" in problem["detail"]
        assert (await other.get("/discovery/services")).status_code == 200
        for path in ("/health", "/livez", "/readyz", "/metrics", "/"):
            assert (await one.get(path)).status_code == 200, "who watches the hub is not limited"
        assert (await one.get("/config")).status_code == 200, "another kind is not touched"
        assert hub.metrics.rate_limited == {("discover", "address"): 2}


async def test_where_nobody_is_proven_nothing_is_limited_unless_it_is_to_be(nats_server: NatsServer) -> None:
    async with (
        open_to_all(nats_server, discover_rate=0.2, discover_burst=3) as (_, sidecar),
        from_address(sidecar, "127.0.0.1") as one,
    ):
        assert {(await one.get("/discovery/services")).status_code for _ in range(10)} == {200}


# --- the file


async def test_limits_in_the_file_hold_within_seconds_and_a_broken_file_leaves_those_of_before(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    path = tmp_path / "hub.toml"
    path.write_text("[ratelimits]\nenabled = true\ndiscover_rate = 0.01\ndiscover_burst = 1000\n")
    arguments = ("--config", str(path))
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url, arguments=arguments) as hub:
        async with httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http:

            async def limited() -> bool:
                return any([(await http.get("/discovery/services")).status_code == 429 for _ in range(3)])

            async def reason() -> str:
                return str((await http.get("/health")).json()["details"]["reason"])

            assert not await limited()
            path.write_text("[ratelimits]\nenabled = true\ndiscover_rate = 0.01\ndiscover_burst = 1\n")
            await eventually(limited)
            assert "rate limits changed" in hub.output()
            assert "discover_burst=1" in hub.output()
            assert "restart needed" not in await reason()

            path.write_text("[ratelimits]\nenabled = false\ndiscover_rate = -1\n")

            async def told() -> bool:
                return "the rate limits of before stay in force" in await reason()

            await eventually(told)
            assert f"{path}: ratelimits.discover_rate: expected a number, more than 0" in await reason()
            assert "settings file refused; the rate limits of before stay in force" in hub.output()
            assert await limited()

            path.write_text("[ratelimits\n")
            await eventually(lambda: _says(reason, f"{path}:1: "))
            assert await limited()

            path.write_text("[ratelimits]\nenabled = false\n")

            async def free() -> bool:
                return not await limited()

            await eventually(free)
            await eventually(lambda: _says_not(reason, "stay in force"))
            path.write_text("[ratelimits]\nenabled = false\n[registry]\ndefault_ttl = 7.0\n")
            await eventually(lambda: _says(reason, "restart needed"))


async def _says(reason: Any, words: str) -> bool:
    return words in await reason()


async def _says_not(reason: Any, words: str) -> bool:
    return words not in await reason()


async def eventually(holds: Any) -> None:
    """Return once it holds."""
    deadline = asyncio.get_running_loop().time() + 30
    while not await holds():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
