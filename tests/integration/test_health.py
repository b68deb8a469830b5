"""How instances are, and what says so: over NATS, and by the command."""

from __future__ import annotations

import json
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client import CentralHubClient
from tests.calls import call, discover, ids, refusal, register
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
        return seen.get("status") == status

    for _ in range(600):
        if await look():
            return seen
    raise AssertionError(f"{name} is not {status} but {seen}")


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
    async with CentralHubClient("onlooker", nats_url=hub.nats_url) as onlooker:
        await until(lambda: told and told[-1]["status"] == "warning", "the report on the lamp")
        for _ in range(300):
            found = await onlooker.discover_all("lamp")
            if found.degraded:
                break
        assert [i.status for i in found.instances] == ["warning"]
    await beat(client, "mains", status="passing")
    await becomes(client, "lamp", "passing")


async def test_where_too_few_are_well_discovery_answers_with_all_as_they_are(hub: HubProcess, client: Client) -> None:
    for number in range(4):
        await register(client, "crew", f"crew-{number}", port=8000 + number, protect_threshold=0.5)
    async with CentralHubClient("captain", nats_url=hub.nats_url) as captain:
        assert len((await captain.discover_all("crew")).instances) == 4
        for number in (1, 2):
            payload = json.dumps({"status": "critical"}).encode()
            await client.publish(f"hub.heartbeat.crew.crew-{number}", payload)
        for _ in range(600):
            found = await discover(client, "crew")
            cached = await captain.discover_all("crew")
            if found["degraded"] and cached.degraded:
                break
        assert [i["status"] for i in found["instances"]] == ["passing", "critical", "critical", "passing"]
        assert [i.status for i in cached.instances] == ["passing", "critical", "critical", "passing"]
    await call(client, "hub.admin.drain", {"name": "crew", "instance_id": "crew-1"})
    assert await ids(client, "crew") == ["crew-0", "crew-1", "crew-2", "crew-3"], "a dead one is dead, drained or not"
    await client.publish("hub.heartbeat.crew.crew-2", b'{"status":"passing"}')
    for _ in range(600):
        if await ids(client, "crew") == ["crew-0", "crew-2", "crew-3"]:
            break
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
