"""The log of a real hub: which request did what, and as much of it as was asked for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from tests.calls import connected, discover, register
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import until

SECRET = "hidden-word"


def lines(hub: HubProcess) -> list[dict[str, Any]]:
    """The events in its log, as JSON."""
    return [json.loads(line) for line in hub.output().splitlines() if line.startswith("{")]


def requests(hub: HubProcess) -> list[dict[str, Any]]:
    """What is told of single requests."""
    return [line for line in lines(hub) if line["event"] == "request"]


async def test_a_reply_brings_back_what_the_request_was_called(client: Client) -> None:
    for subject, payload in (("hub.discover", b'{"name":"x"}'), ("hub.metrics", b""), ("$SRV.PING.central-hub", b"")):
        reply = await client.request(subject, payload, headers={"X-Request-Id": "mine"}, timeout=10)
        assert reply.headers is not None
        assert reply.headers["X-Request-Id"] == "mine"
        assert "Nats-Service-Error" not in reply.headers
    assert (await client.request("hub.discover", b'{"name":"x"}', timeout=10)).headers is None


async def test_an_error_reply_always_has_an_id(client: Client) -> None:
    for headers in (None, {"X-Request-Id": "two words"}, {"Other": "header"}):
        reply = await client.request("hub.register", b"{}", headers=headers, timeout=10)
        assert reply.headers is not None
        assert len(reply.headers["X-Request-Id"]) == 32


async def test_the_longest_headers_fit_beside_the_longest_reply(tmp_path: Path) -> None:
    headers = {
        "X-Request-Id": "x" * 128,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=" + "1" * 510,
    }
    with (
        NatsServer(tmp_path / "nats", config="max_payload: 4096") as server,
        HubProcess(tmp_path / "hub", nats_url=server.url) as hub,
    ):
        async with connected(server.url) as client:
            for number in range(40):
                await register(client, f"service-with-a-long-name-{number}")
            reply = await client.request("hub.services", b"{}", headers=headers, timeout=10)
        assert hub.stop() == 0
    assert reply.headers == headers
    assert json.loads(reply.data)["next"]


@pytest.mark.parametrize("variable", [{"LOG_LEVEL": "DEBUG"}, {"LOG_LEVEL": "debug"}, {"HUB_LOG_LEVEL": "Debug"}])
async def test_debug_tells_of_every_request_and_of_nothing_in_it(
    tmp_path: Path, nats_server: NatsServer, variable: dict[str, str]
) -> None:
    variables = {**variable, "HUB_LOG_FORMAT": "json"}
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url, variables=variables) as hub:
        async with connected(nats_server.url) as client:
            await register(client, "engine", metadata={"note": SECRET})
            await discover(client, "engine", tags=[SECRET])
            headers = {"X-Request-Id": "mine", "Authorization": SECRET}
            await client.request("hub.register", b'{"name":"hidden-word"}', headers=headers, timeout=10)
        await until(lambda: len(requests(hub)) >= 3, "three requests are told of")
    told = requests(hub)
    assert [(line["subject"], line["outcome"]) for line in told] == [
        ("hub.register", "ok"),
        ("hub.discover", "ok"),
        ("hub.register", "invalid_request"),
    ]
    assert all(line["bytes_in"] > 0 and line["bytes_out"] > 0 and 0 < line["seconds"] < 60 for line in told)
    assert told[2]["request_id"] == "mine"
    assert len({line["request_id"] for line in told}) == 3
    assert SECRET not in hub.output()


async def test_at_info_no_request_is_told_of(tmp_path: Path, nats_server: NatsServer) -> None:
    variables = {"LOG_LEVEL": "INFO", "HUB_LOG_FORMAT": "json"}
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url, variables=variables) as hub:
        async with connected(nats_server.url) as client:
            await register(client, "engine")
            await discover(client, "engine")
        assert hub.stop() == 0
    assert lines(hub)
    assert requests(hub) == []
    assert "debug" not in {line["level"] for line in lines(hub)}


async def test_many_requests_at_once_are_each_told_of_by_their_own_name_and_the_hub_s_own_doings_by_none(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    variables = {"LOG_LEVEL": "debug", "HUB_LOG_FORMAT": "json"}
    payloads = {
        f"r{number}": b'{"name":"s%d","host":"h","port":1,"instance_id":"i%d","ttl":0.5}' % (number, number)
        + b" " * number
        for number in range(200)
    }
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url, variables=variables) as hub:
        async with connected(nats_server.url) as client:

            async def add(name: str, payload: bytes) -> None:
                reply = await client.request("hub.register", payload, headers={"X-Request-Id": name}, timeout=30)
                assert reply.headers == {"X-Request-Id": name}

            await asyncio.gather(*(add(name, payload) for name, payload in payloads.items()))
            await until(lambda: hub.output().count('"event":"instance changed"') >= 200, "they are found critical")
    assert {line["request_id"]: line["bytes_in"] for line in requests(hub)} == {
        name: len(payload) for name, payload in payloads.items()
    }
    own = [line for line in lines(hub) if line["event"] != "request"]
    assert not [line for line in own if "request_id" in line]


async def test_a_slow_request_is_told_of_while_performance_is_measured(tmp_path: Path, nats_server: NatsServer) -> None:
    variables = {"HUB_LOG_SLOW_REQUEST": "0.000001", "HUB_LOG_FORMAT": "json"}
    waiting = {"name": "nobody", "wait": 0.2, "min_revision": 10**9}
    told: dict[str, list[dict[str, Any]]] = {}
    for measured in ("true", "false"):
        with HubProcess(
            tmp_path / measured,
            nats_url=nats_server.url,
            variables={**variables, "ENABLE_PERFORMANCE_METRICS": measured},
        ) as hub:
            async with connected(nats_server.url) as client:
                await client.request("hub.discover", json.dumps(waiting).encode(), timeout=10)
                await client.request("hub.register", b"{}", headers={"X-Request-Id": "mine"}, timeout=10)
            assert hub.stop() == 0
            told[measured] = [line for line in lines(hub) if line["event"] == "slow request"]
    [slow] = told["true"]
    assert (slow["subject"], slow["outcome"], slow["request_id"]) == ("hub.register", "invalid_request", "mine")
    assert told["false"] == []


@pytest.mark.parametrize("measured", [True, False])
async def test_the_dear_figures_are_told_when_they_are_asked_for(
    tmp_path: Path, nats_server: NatsServer, measured: bool
) -> None:
    variables = {"ENABLE_PERFORMANCE_METRICS": str(measured).lower()}
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url, variables=variables) as hub:
        async with connected(nats_server.url) as client, httpx.AsyncClient(timeout=30) as http:
            await discover(client, "anybody")
            text = (await http.get(f"{hub.http_url}/metrics")).text
            stats = json.loads((await client.request("$SRV.STATS.central-hub", b"", timeout=10)).data)
    for name in ("hub_request_duration_seconds", "hub_event_loop_tick_lag_seconds", "hub_gc_pause_seconds"):
        assert (f"{name}_count" in text) is measured
    assert 'hub_requests_total{outcome="ok",subject="hub.discover"} 1.0' in text
    [asked] = [each for each in stats["endpoints"] if each["subject"] == "hub.discover"]
    assert asked["num_requests"] == 1
    assert (asked["processing_time"] > 0) is measured
