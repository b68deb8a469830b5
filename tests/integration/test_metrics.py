"""The metrics of a real hub: the same on NATS as over HTTP, and as few for thousands of services as for one."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import httpx
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client.parser import text_string_to_metric_families

from hub.telemetry.catalogue import CATALOGUE
from hub.wire.names import INSTANCE_PATTERN
from tests.calls import call, connected, discover, refusal, register
from tests.http import browsing
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import PATIENCE, until

_MANY = 10_000
_AT_ONCE = 256
OUTCOMES = ("new", "updated", "unchanged")


def series_lines(text: str) -> list[str]:
    """The lines that are not about others."""
    return [line for line in text.splitlines() if not line.startswith("#")]


def series(text: str) -> set[str]:
    """What is told of, without the numbers."""
    return {line.rpartition(" ")[0] for line in series_lines(text)}


async def scraped(hub: HubProcess) -> httpx.Response:
    """An answer on /metrics."""
    async with browsing(hub) as http:
        return (await http.get("/metrics")).raise_for_status()


async def figures_when(hub: HubProcess, name: str, value: float) -> dict[str, float]:
    """The number of every series, as soon as one of them is so much."""
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = [line.rpartition(" ") for line in series_lines((await scraped(hub)).text)]
        figures = {series: float(number) for series, _, number in lines}
        if figures[name] == value:
            return figures
        assert time.monotonic() < deadline, f"{name} is {figures[name]}, expected {value}"
        await asyncio.sleep(0.01)


async def test_what_nats_tells_is_what_http_tells(hub: HubProcess, client: Client) -> None:
    on_nats = await client.request("hub.metrics", b"", timeout=10)
    over_http = await scraped(hub)
    assert series(on_nats.data.decode()) == series(over_http.text)
    assert on_nats.headers is not None
    assert on_nats.headers["Content-Type"] == over_http.headers["Content-Type"]
    assert re.match(INSTANCE_PATTERN, on_nats.headers["Hub-Id"])
    told = {family.name.removesuffix("_total") for family in text_string_to_metric_families(on_nats.data.decode())}
    assert told == {metric.name.removesuffix("_total") for metric in CATALOGUE}


async def test_whatever_the_request_says_the_answer_is_the_same(client: Client) -> None:
    for payload in (b"", b"{}", b'{"format":"json"}', b"\xff\x00", b"x" * 100_000):
        reply = await client.request("hub.metrics", payload, timeout=10)
        assert reply.data.startswith(b"# HELP ")


async def test_asking_for_metrics_is_counted_too(client: Client) -> None:
    async def asked() -> float:
        reply = await client.request("hub.metrics", b"", timeout=10)
        [found] = re.findall(
            r'^hub_requests_total\{.*subject="hub\.metrics"\} (\S+)$', reply.data.decode(), re.MULTILINE
        )
        return float(found)

    before = await asked()
    assert await asked() == before + 1


async def test_what_comes_of_registrations_and_discoveries_is_counted(tmp_path: Path, nats_server: NatsServer) -> None:
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url) as hub:
        async with connected(nats_server.url) as client:
            for version in ("1", "1", "2"):
                await register(client, "counted", version=version)
            await register(client, "other")
            for _ in range(3):
                await discover(client, "counted")
            waiting = asyncio.create_task(discover(client, "counted", wait=20, min_revision=10**9))

            figures = await figures_when(hub, "hub_discover_waiters", 1)
            await call(client, "hub.deregister", {"name": "other", "instance_id": "other-1"})
            gone = await figures_when(hub, "hub_deregistrations_total", 1)
            assert hub.stop() == 0
            await waiting
    outcomes = {outcome: figures[f'hub_registrations_total{{outcome="{outcome}"}}'] for outcome in OUTCOMES}
    assert outcomes == {"new": 2, "updated": 1, "unchanged": 1}
    assert (figures['hub_discoveries_total{cache="hit"}'], figures['hub_discoveries_total{cache="miss"}']) == (2, 1)
    assert (figures["hub_cached_answers"], figures["hub_deregistrations_total"]) == (1, 0)
    assert figures["hub_cached_answers_bytes"] > 100
    assert gone['hub_registrations_total{outcome="new"}'] == 2


async def test_connections_of_instances_are_counted_where_the_system_account_tells(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        async with connected(hub.nats_url, name="engine.a1"):
            await figures_when(hub, "hub_connections", 1)
        await figures_when(hub, "hub_connections", 0)


async def test_every_replica_answers_for_itself(tmp_path: Path, nats_server: NatsServer) -> None:
    answers: list[Msg] = []

    async def on_answer(message: Msg) -> None:
        answers.append(message)

    with (
        HubProcess(tmp_path / "one", nats_url=nats_server.url),
        HubProcess(tmp_path / "other", nats_url=nats_server.url),
    ):
        async with connected(nats_server.url) as client:
            inbox = client.new_inbox()
            await client.subscribe(inbox, cb=on_answer)
            await client.publish("hub.metrics", b"", reply=inbox)
            await until(lambda: len(answers) >= 2, "both replicas answer")
    assert len({answer.headers["Hub-Id"] for answer in answers if answer.headers}) == len(answers) == 2


async def test_what_no_message_can_hold_is_refused_and_not_cut(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats", config="max_payload: 4096") as server,
        HubProcess(tmp_path / "hub", nats_url=server.url) as hub,
    ):
        async with connected(server.url) as client:
            error = await refusal(client, "hub.metrics", {})
            assert (error["code"], error["status"], error["retryable"]) == ("payload_too_large", 413, False)
            assert "max_payload" in error["message"]
            assert "/metrics" in error["message"]
            assert (await call(client, "hub.services"))["services"] == []
        assert 'outcome="payload_too_large",subject="hub.metrics"' in (await scraped(hub)).text


async def test_ten_thousand_services_are_told_in_as_many_lines_as_one(tmp_path: Path) -> None:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def add(client: Client, number: int) -> None:
        async with slots:
            await register(client, f"s{number}", tags=[f"t{number}"], version=f"1.0.{number}", timeout=60)

    with HubProcess(tmp_path / "hub") as hub:
        async with connected(hub.nats_url) as client:
            await add(client, 0)
            of_one = (await scraped(hub)).text
            await asyncio.gather(*(add(client, number) for number in range(1, _MANY)))
            began = time.monotonic()
            of_many = (await scraped(hub)).text
            took = time.monotonic() - began
            on_nats = await client.request("hub.metrics", b"", timeout=30)
    assert series(of_many) == series(of_one)
    assert len(of_many.splitlines()) < 2000
    assert took < 5  # about 10 ms on an idle machine; what this must catch is a cost for every service's every series
    assert f"hub_services {float(_MANY)}" in on_nats.data.decode()
