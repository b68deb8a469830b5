"""The metrics of a real hub: the same on NATS as over HTTP, and as few for thousands of services as for one."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client.parser import text_string_to_metric_families

from hub.telemetry.metrics import CATALOGUE
from hub.wire.names import INSTANCE_PATTERN
from tests.calls import call, connected, refusal, register
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import until

_MANY = 10_000
_AT_ONCE = 256


def series(text: str) -> set[str]:
    """What is told of, without the numbers."""
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def scraped(hub: HubProcess) -> httpx.Response:
    """An answer on /metrics."""
    async with httpx.AsyncClient(timeout=30) as http:
        return (await http.get(f"{hub.http_url}/metrics")).raise_for_status()


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
            of_many = (await scraped(hub)).text
            on_nats = await client.request("hub.metrics", b"", timeout=30)
    assert series(of_many) == series(of_one)
    assert len(of_many.splitlines()) < 1000
    assert f"hub_services {float(_MANY)}" in on_nats.data.decode()
