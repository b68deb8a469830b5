"""The hub as a NATS micro service: what ADR-32 asks of every answer, read by hand and by nats-py's own reader."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.micro.service import ServiceInfo, ServicePing, ServiceStats

from hub.version import __version__
from hub.wire.channel import HUB
from hub.wire.channels import CHANNELS
from tests.calls import call, connected, refusal
from tests.hubs import HubProcess
from tests.micro_schemas import MICRO_V1
from tests.servers import NatsServer
from tests.waiting import until

_VERBS = ("PING", "INFO", "STATS")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_COUNTS = ("num_requests", "num_errors", "processing_time", "average_processing_time")


async def figures(client: Client, name: str) -> dict[str, Any]:
    """What STATS says of one endpoint."""
    stats = await call(client, "$SRV.STATS.central-hub")
    [found] = [endpoint for endpoint in stats["endpoints"] if endpoint["name"] == name]
    return dict(found)


@pytest.mark.parametrize("verb", _VERBS)
async def test_it_answers_with_all_services_with_its_name_and_alone(client: Client, verb: str) -> None:
    hub_id = (await call(client, "$SRV.PING"))["id"]
    answers = [await call(client, f"$SRV.{verb}{rest}") for rest in ("", ".central-hub", f".central-hub.{hub_id}")]
    assert {answer["id"] for answer in answers} == {hub_id}
    assert {answer["type"] for answer in answers} == {f"io.nats.micro.v1.{verb.lower()}_response"}


@pytest.mark.parametrize("verb", _VERBS)
async def test_every_answer_is_valid_against_the_published_schemas(client: Client, verb: str) -> None:
    await refusal(client, "hub.deregister", {"name": "nobody", "instance_id": "n-1"})  # so that there is a last error
    hub_id = (await call(client, "$SRV.PING"))["id"]
    for rest in ("", ".central-hub", f".central-hub.{hub_id}"):
        MICRO_V1[verb].validate(await call(client, f"$SRV.{verb}{rest}"))


@pytest.mark.parametrize("verb", _VERBS)
async def test_every_answer_has_the_standard_fields(client: Client, verb: str) -> None:
    reply = await client.request(f"$SRV.{verb}", b"", timeout=10)
    answer = json.loads(reply.data)
    assert not reply.headers
    assert answer["name"] == "central-hub"
    assert _NAME.fullmatch(answer["id"])
    assert answer["version"] == __version__
    assert _SEMVER.fullmatch(answer["version"])
    assert all(isinstance(value, str) for value in answer["metadata"].values())


async def test_info_tells_every_subject_that_is_answered(client: Client) -> None:
    info = await call(client, "$SRV.INFO")
    assert set(info) == {"type", "name", "id", "version", "metadata", "description", "endpoints"}
    assert info["description"]
    requests = {c.address: c for c in CHANNELS if c.subscribers == (HUB,) and "request" in c.kind}
    assert {endpoint["subject"] for endpoint in info["endpoints"]} == set(requests)
    for endpoint in info["endpoints"]:
        assert set(endpoint) == {"name", "subject", "queue_group", "metadata"}
        assert _NAME.fullmatch(endpoint["name"])
        assert endpoint["queue_group"] == (requests[endpoint["subject"]].queue or "")
        assert all(isinstance(value, str) for value in endpoint["metadata"].values())


async def test_stats_tell_whole_numbers_since_the_start(client: Client) -> None:
    stats = await call(client, "$SRV.STATS")
    assert set(stats) == {"type", "name", "id", "version", "metadata", "started", "endpoints"}
    assert _RFC3339.fullmatch(stats["started"])
    assert datetime.fromisoformat(stats["started"]) <= datetime.now(UTC)
    info = await call(client, "$SRV.INFO")
    assert [(e["name"], e["subject"], e["queue_group"]) for e in stats["endpoints"]] == [
        (e["name"], e["subject"], e["queue_group"]) for e in info["endpoints"]
    ]
    for endpoint in stats["endpoints"]:
        assert set(endpoint) == {"name", "subject", "queue_group", "last_error", "data", *_COUNTS}
        assert all(type(endpoint[count]) is int and 0 <= endpoint[count] < 2**63 for count in _COUNTS)
        requests = endpoint["num_requests"]
        assert endpoint["average_processing_time"] == (endpoint["processing_time"] // requests if requests else 0)


async def test_requests_and_errors_are_counted_and_the_last_error_is_told_by_its_code(client: Client) -> None:
    before = await figures(client, "deregister")
    outcomes = before["data"]["outcomes"]
    await refusal(client, "hub.deregister", {"name": "nobody", "instance_id": "n-1"})
    await refusal(client, "hub.deregister", {"name": "a secret that nobody else may read"})
    after = await figures(client, "deregister")
    assert (after["num_requests"], after["num_errors"]) == (before["num_requests"] + 2, before["num_errors"] + 2)
    assert after["processing_time"] > before["processing_time"]
    assert after["last_error"] == "invalid_request"
    told = after["data"]["outcomes"]
    assert {code: told[code] - outcomes.get(code, 0) for code in told} == {
        "ok": 0,
        "not_found": 1,
        "invalid_request": 1,
    }
    counted = (await figures(client, "services"))["num_requests"]
    await call(client, "hub.services")
    assert (await figures(client, "services"))["num_requests"] == counted + 1


async def test_another_reader_understands_the_answers(client: Client) -> None:
    ping = ServicePing.from_dict(await call(client, "$SRV.PING"))
    info = ServiceInfo.from_dict(await call(client, "$SRV.INFO"))
    stats = ServiceStats.from_dict(await call(client, "$SRV.STATS"))
    assert ping.name == info.name == stats.name == "central-hub"
    assert "hub.discover" in [endpoint.subject for endpoint in info.endpoints]
    assert "hub.discover" in [endpoint.subject for endpoint in stats.endpoints]


async def test_it_does_not_answer_for_others(client: Client) -> None:
    hub_id = (await call(client, "$SRV.PING"))["id"]
    heard: list[Msg] = []

    async def on_message(message: Msg) -> None:
        if message.data:  # what is empty is NATS's own word that nobody is there
            heard.append(message)

    inbox = client.new_inbox()
    await client.subscribe(inbox, cb=on_message)
    for rest in (".other", f".other.{hub_id}", ".central-hub.other"):
        await client.publish(f"$SRV.PING{rest}", b"", reply=inbox)
    await client.publish("$SRV.PING", b"", reply="hub.events.service.forged")
    await client.publish("$SRV.PING", b"last", reply=inbox)
    await until(lambda: heard, "the last question is answered")
    assert [json.loads(message.data)["id"] for message in heard] == [hub_id]


async def test_every_replica_answers_until_it_is_gone(tmp_path: Path, nats_server: NatsServer) -> None:
    async def seen(client: Client) -> set[str]:
        answers: asyncio.Queue[Msg] = asyncio.Queue(16)
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=answers.put)
        await client.publish("$SRV.PING.central-hub", b"", reply=inbox)
        ids: set[str] = set()
        try:
            while len(ids) < 2:
                ids.add(json.loads((await asyncio.wait_for(answers.get(), 3)).data)["id"])
        except TimeoutError:
            pass  # nobody else is there
        await subscription.unsubscribe()
        return ids

    with (
        HubProcess(tmp_path / "one", nats_url=nats_server.url),
        HubProcess(tmp_path / "other", nats_url=nats_server.url) as other,
    ):
        async with connected(nats_server.url) as client:
            both = await seen(client)
            assert len(both) == 2
            assert other.stop() == 0
            left = await seen(client)
            assert len(left) == 1
            assert left < both
