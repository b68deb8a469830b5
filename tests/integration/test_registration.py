"""Registering and deregistering, over a real NATS, by plain requests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.calls import call, discover, ids, refusal, register
from tests.hubs import HubProcess
from tests.waiting import until


async def test_the_platform_s_own_payload_registers_and_is_discovered(client: Client) -> None:
    payload = {
        "name": "api-gateway",
        "host": "suho-api-gateway",
        "port": 8000,
        "protocol": "http",
        "health_endpoint": "/health",
        "metadata": {"type": "api-gateway", "capabilities": ["http", "websocket", "trading"], "max_connections": 1000},
    }
    registered = await call(client, "hub.register", payload)
    assert registered["name"] == "api-gateway"
    assert registered["revision"] > 0
    assert registered["ttl"] == 6.0
    assert registered["heartbeat_interval"] == 2.0
    assert registered["heartbeat_subject"] == f"hub.heartbeat.api-gateway.{registered['instance_id']}"
    answer = await discover(client, "api-gateway")
    assert answer["degraded"] is False
    [instance] = answer["instances"]
    assert instance["url"] == "http://suho-api-gateway:8000"
    assert instance["metadata"] == payload["metadata"]
    assert instance["status"] == "passing"


async def test_registering_again_is_an_update_that_keeps_its_age(client: Client) -> None:
    first = await register(client, "updated", version="1")
    since = (await discover(client, "updated"))["instances"][0]["since"]
    again = await register(client, "updated", version="2")
    assert again["revision"] > first["revision"]
    [instance] = (await discover(client, "updated"))["instances"]
    assert (instance["version"], instance["since"]) == ("2", since)


async def test_registering_the_same_again_writes_nothing(client: Client) -> None:
    first = await register(client, "idempotent")
    assert (await register(client, "idempotent"))["revision"] == first["revision"]


async def test_without_an_id_the_same_address_is_the_same_instance(client: Client) -> None:
    message = {"name": "anonymous", "host": "10.1.1.1", "port": 7, "liveness": "permanent"}
    first = await call(client, "hub.register", message)
    again = await call(client, "hub.register", {**message, "version": "2"})
    other = await call(client, "hub.register", {**message, "port": 8})
    assert first["instance_id"] == again["instance_id"] != other["instance_id"]
    named = await call(client, "hub.register", {**message, "port": 9, "instance_id": "named"})
    assert named["instance_id"] == "named"
    unnamed = await call(client, "hub.register", {**message, "port": 9})
    assert unnamed["instance_id"] == "named"


async def test_a_plain_publish_registers_and_deregisters_too(client: Client) -> None:
    message = {"name": "quiet", "instance_id": "q", "host": "h", "port": 1, "liveness": "permanent"}
    before = (await discover(client, "quiet"))["revision"]
    await client.publish("hub.register", json.dumps(message).encode())
    answer = await discover(client, "quiet", min_revision=before + 1, wait=10)
    assert [i["instance_id"] for i in answer["instances"]] == ["q"]
    await client.publish("hub.deregister", json.dumps({"name": "quiet", "instance_id": "q"}).encode())
    answer = await discover(client, "quiet", min_revision=answer["revision"] + 1, wait=10)
    assert answer["instances"] == []


async def test_a_deregistered_instance_is_gone_and_can_come_back(client: Client) -> None:
    first = await register(client, "comes-back")
    gone = await call(
        client, "hub.deregister", {"name": "comes-back", "instance_id": "comes-back-1", "reason": "stopped"}
    )
    assert gone["revision"] > first["revision"]
    assert await ids(client, "comes-back") == []
    back = await register(client, "comes-back")
    assert back["revision"] > gone["revision"]
    assert await ids(client, "comes-back") == ["comes-back-1"]


async def test_deregistering_nobody_is_an_error(client: Client) -> None:
    error = await refusal(client, "hub.deregister", {"name": "nobody", "instance_id": "x"})
    assert (error["code"], error["status"], error["field"]) == ("not_found", 404, "instance_id")


async def test_a_service_boots_in_one_round_trip(client: Client) -> None:
    await register(client, "needed", "n1")
    registered = await register(client, "needs", depends_on=["needed", "absent"], include=["dependencies"])
    assert [i["instance_id"] for i in registered["dependencies"]["needed"]["instances"]] == ["n1"]
    assert registered["dependencies"]["absent"]["instances"] == []


async def test_many_at_once_all_get_in(client: Client) -> None:
    replies = await asyncio.gather(*(register(client, "crowd", f"c{n}", port=n + 1) for n in range(300)))
    assert len({reply["revision"] for reply in replies}) == 300
    assert len(await ids(client, "crowd")) == 300


async def test_the_same_instance_registered_many_times_at_once_is_one(client: Client) -> None:
    await asyncio.gather(*(register(client, "racing", version=str(n)) for n in range(30)))
    assert await ids(client, "racing") == ["racing-1"]


GOOD: dict[str, Any] = {"name": "unwanted", "host": "h", "port": 1}


@pytest.mark.parametrize(
    ("message", "code", "status", "field"),
    [
        (b"not json", "invalid_request", 400, None),
        (b"[]", "invalid_request", 400, None),
        ({}, "invalid_request", 400, "name"),
        ({**GOOD, "port": 0}, "invalid_request", 400, "port"),
        ({**GOOD, "port": 65536}, "invalid_request", 400, "port"),
        ({**GOOD, "port": "80"}, "invalid_request", 400, "port"),
        ({**GOOD, "name": "un.wanted"}, "invalid_request", 400, "name"),
        ({**GOOD, "name": "un*"}, "invalid_request", 400, "name"),
        ({**GOOD, "name": "un wanted"}, "invalid_request", 400, "name"),
        ({**GOOD, "name": "u" * 64}, "invalid_request", 400, "name"),
        ({**GOOD, "name": "hub"}, "invalid_request", 400, "name"),
        ({**GOOD, "instance_id": "a.b"}, "invalid_request", 400, "instance_id"),
        ({**GOOD, "instance_id": "i" * 65}, "invalid_request", 400, "instance_id"),
        ({**GOOD, "ttl": -1}, "invalid_request", 400, "ttl"),
        ({**GOOD, "host": ""}, "invalid_request", 400, "host"),
        ({**GOOD, "liveness": "probe", "health_endpoint": "/a b"}, "invalid_request", 400, "health_endpoint"),
        ({**GOOD, "liveness": "probe", "health_endpoint": "/a\r\nb"}, "invalid_request", 400, "health_endpoint"),
        ({**GOOD, "checks": [{"type": "http", "headers": {"TE": "x"}}]}, "unsupported", 501, "checks[0]"),
        ({**GOOD, "metadata": {"x": "y" * 70_000}}, "payload_too_large", 413, None),
        (b'{"name":"unwanted","host":"h","port":1,"metadata":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, "", 400, None),
        (b'{"name":"unwanted","host":"h","port":1,"metadata":' + b'{"a":' * 20 + b"1" + b"}" * 21, "", 400, "metadata"),
    ],
)
async def test_a_bad_registration_is_refused_and_leaves_no_trace(
    client: Client, message: Any, code: str, status: int, field: str | None
) -> None:
    error = await refusal(client, "hub.register", message)
    assert (error["code"], error["status"], error["field"]) == (code or "invalid_request", status, field)
    assert error["retryable"] is False
    assert (await discover(client, "unwanted", status="any"))["instances"] == []


async def test_an_instance_id_of_another_service_is_refused(client: Client) -> None:
    await register(client, "owner", "contested")
    message = {**GOOD, "instance_id": "contested"}
    error = await refusal(client, "hub.register", message)
    assert (error["code"], error["status"], error["field"]) == ("conflict", 409, "instance_id")
    error = await refusal(client, "hub.deregister", {"name": "unwanted", "instance_id": "contested"})
    assert error["code"] == "not_found"
    assert await ids(client, "owner") == ["contested"]
    assert await ids(client, "unwanted", status="any") == []


async def test_a_message_larger_than_nats_takes_harms_nobody_else(hub: HubProcess, client: Client) -> None:
    host, _, port = hub.nats_url.removeprefix("nats://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.readline()
    size = 10 * 1024 * 1024
    writer.write(b'CONNECT {"verbose":false}\r\nPUB hub.register %d\r\n' % size)
    complaint = await asyncio.wait_for(reader.read(200), 10)
    assert b"Maximum Payload Violation" in complaint or b"-ERR" in complaint
    writer.close()
    await register(client, "unharmed")
    assert await ids(client, "unharmed") == ["unharmed-1"]


@pytest.mark.parametrize("reply", ["hub.heartbeat.a.b", "hub.register", "$JS.API.STREAM.DELETE.KV_hub-registry"])
async def test_the_hub_does_not_speak_on_a_subject_that_is_not_an_inbox(client: Client, reply: str) -> None:
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    await client.subscribe(reply, cb=hear)
    await client.publish("hub.services", b"{}", reply=reply)
    await register(client, "after-the-deputy")  # answered after the message before it was taken
    await client.flush()
    assert [message for message in heard if b"services" in message.data] == []


async def test_registrations_and_departures_are_events(client: Client) -> None:
    heard: dict[str, Any] = {}

    async def hear(message: Msg) -> None:
        event = json.loads(message.data)
        heard[event["type"]] = event if event["subject"] == "eventful.eventful-1" else heard.get(event["type"])

    await client.subscribe("hub.events.>", cb=hear)
    await client.flush()
    registered = await register(client, "eventful")
    await call(client, "hub.deregister", {"name": "eventful", "instance_id": "eventful-1"})
    await until(lambda: heard.get("service.registered") and heard.get("service.deregistered"), "both events")
    event = heard["service.registered"]
    assert (event["specversion"], event["source"]) == ("1.0", "central-hub/registry")
    assert event["data"]["revision"] == registered["revision"]
