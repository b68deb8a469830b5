"""How instances are, and what says so: over NATS, and by the command."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.errors import InvalidRequest
from hub.wire.checks import Check, TtlCheck
from tests.calls import call, discover, ids, refusal, register
from tests.clients import eventually, sdk
from tests.commands import run, run_json
from tests.hubs import HubProcess
from tests.waiting import until


async def report(client: Client, name: str) -> Any:
    """How a service is; None where there is none."""
    found = await call(client, "hub.health", {"name": name})
    return found["services"][0] if found["services"] else None


async def becomes(client: Client, name: str, status: str) -> Any:
    """The first instance of a service, once it has that status."""
    seen: dict[str, Any] = {}

    async def look() -> bool:
        found = await report(client, name)
        seen.update(found["instances"][0] if found else {})
        return bool(seen.get("status") == status)

    await eventually(look, f"{name} is {status}")
    return seen


async def beat(client: Client, name: str, **said: Any) -> None:
    await client.publish(f"hub.heartbeat.{name}.{name}-1", json.dumps(said).encode())


async def test_what_an_instance_says_of_itself_is_named_as_the_reason(client: Client) -> None:
    await register(client, "says")
    await beat(client, "says", status="warning", message="queue is long")
    instance = await becomes(client, "says", "warning")
    assert (instance["check"], instance["reason"]) == ("report", "reported by the service: queue is long")


async def test_a_dead_dependency_warns_its_dependants_until_it_is_back_and_the_caches_are_told(
    hub: HubProcess, client: Client
) -> None:
    told: list[Any] = []

    async def on_report(message: Msg) -> None:
        told.append(json.loads(message.data))

    await client.subscribe("hub.health.lamp", cb=on_report)
    await register(client, "mains")
    await register(client, "lamp", depends_on=["mains"])
    assert (await discover(client, "lamp"))["degraded"] is False
    await beat(client, "mains", status="critical")
    instance = await becomes(client, "lamp", "warning")
    assert (instance["check"], instance["reason"]) == ("upstream", "upstream: mains cannot be chosen")
    async with sdk(hub.nats_url, "onlooker") as onlooker:
        await until(lambda: told and told[-1]["status"] == "warning", "the report on the lamp")

        async def degraded() -> bool:
            return (await onlooker.discover_all("lamp")).degraded

        await eventually(degraded, "the cache is told")
        assert [i.status for i in (await onlooker.discover_all("lamp")).instances] == ["warning"]
    await beat(client, "mains", status="passing")
    await becomes(client, "lamp", "passing")


async def test_where_too_few_are_well_discovery_answers_with_all_as_they_are(hub: HubProcess, client: Client) -> None:
    for number in range(4):
        await register(client, "crew", f"crew-{number}", port=8000 + number, protect_threshold=0.5)
    async with sdk(hub.nats_url, "captain") as captain:
        assert len((await captain.discover_all("crew")).instances) == 4
        for number in (1, 2):
            payload = json.dumps({"status": "critical"}).encode()
            await client.publish(f"hub.heartbeat.crew.crew-{number}", payload)

        async def degraded() -> bool:
            return bool((await discover(client, "crew"))["degraded"] and (await captain.discover_all("crew")).degraded)

        await eventually(degraded, "both answer with everybody")
        found, cached = await discover(client, "crew"), await captain.discover_all("crew")
        assert [i["status"] for i in found["instances"]] == ["passing", "critical", "critical", "passing"]
        assert [i.status for i in cached.instances] == ["passing", "critical", "critical", "passing"]
    await call(client, "hub.admin.drain", {"name": "crew", "instance_id": "crew-1"})
    assert await ids(client, "crew") == ["crew-0", "crew-1", "crew-2", "crew-3"], "a dead one is dead, drained or not"
    await client.publish("hub.heartbeat.crew.crew-2", b'{"status":"passing"}')

    async def recovered() -> bool:
        return await ids(client, "crew") == ["crew-0", "crew-2", "crew-3"]

    await eventually(recovered, "enough of the crew are well again")
    assert (await discover(client, "crew"))["degraded"] is False


async def test_reports_are_asked_for_in_pages_and_nobody_is_an_empty_list(client: Client) -> None:
    for name in ("page-a", "page-b", "page-c"):
        await register(client, name)
    first = await call(client, "hub.health", {"after": "page", "limit": 2})
    assert [r["service"] for r in first["services"]] == ["page-a", "page-b"]
    assert first["next"] == "page-b"
    assert (await call(client, "hub.health", {"name": "nobody-here"}))["services"] == []
    assert (await refusal(client, "hub.health", {"limit": -1}))["field"] == "limit"


async def test_the_command_shows_what_decided_and_why(hub: HubProcess, client: Client) -> None:
    await register(client, "shown", depends_on=["not-there"])
    await becomes(client, "shown", "warning")
    done = run("health", "shown", nats=hub.nats_url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[:3] == ["shown", "shown-1", "warning"]
    assert "upstream: not-there cannot be chosen" in done.stdout
    assert run_json("health", "shown", nats=hub.nats_url)["services"][0]["instances"][0]["check"] == "upstream"
    assert run("health", "nobody-here", nats=hub.nats_url).returncode == 3


async def test_the_sdk_reports_on_its_ttl_checks_and_silence_makes_them_fail(hub: HubProcess, client: Client) -> None:
    checks: list[Check | dict[str, Any]] = [
        TtlCheck(name="feed", ttl=2.0),
        {"type": "ttl", "name": "books", "severity": "warning"},
    ]
    async with sdk(hub.nats_url, "desk", port=8080, instance_id="d1", checks=checks) as desk:
        desk.set_check("books", "critical", "ledger is behind")
        instance = await becomes(client, "desk", "critical")
        assert (instance["check"], instance["reason"]) == ("books", "books: reported by the service: ledger is behind")
        desk.set_check("books", "passing")
        desk.set_check("feed", "passing")
        await becomes(client, "desk", "passing")
        instance = await becomes(client, "desk", "critical")  # it beats on, but says no more of its feed
        assert instance["check"] == "feed"
        assert instance["reason"].startswith("feed: no report for ")
        desk.set_check("feed", "passing", "quotes flow")
        await becomes(client, "desk", "passing")
        with pytest.raises(InvalidRequest, match=r"a ttl check of this instance \(books, feed\), got 'fed'"):
            desk.set_check("fed", "passing")


async def test_the_command_registers_who_is_to_be_looked_at(hub: HubProcess, client: Client) -> None:
    host, port = hub.http_url.removeprefix("http://").split(":")
    register_it = ("register", "looked", "--host", host, "--port", port, "--instance-id", "l1")
    done = run(*register_it, "--liveness", "probe", "--health-endpoint", "/livez", nats=hub.nats_url)
    assert done.returncode == 0, done.stderr

    async def found() -> bool:
        checks = (await report(client, "looked"))["instances"][0]["checks"]
        return [(check["name"], check["status"], check["output"]) for check in checks] == [
            ("health", "passing", "200 OK")
        ]

    await eventually(found, "the hub has looked at it")
    fails = '{"type":"http","path":"/nowhere","interval":1,"timeout":1,"failures_before_critical":1}'
    done = run(*register_it, "--check", "tcp", "--check", fails, nats=hub.nats_url)
    assert done.returncode == 0, done.stderr
    instance = await becomes(client, "looked", "critical")
    assert (instance["check"], instance["reason"]) == ("http", "http: 404 Not Found")
    shown = run("health", "looked", "--checks", nats=hub.nats_url).stdout
    assert "404 Not Found" in shown
    refused = run(*register_it, "--check", '{"type":"http","path":"nowhere"}', nats=hub.nats_url)
    assert refused.returncode == 1
    assert "checks[0].path: expected a path" in refused.stderr
