"""Configuration over NATS, against a real hub: put, valid or not, read back, rolled back, pushed and acknowledged."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests import enforcing
from tests.calls import call, connected, refusal, register
from tests.clients import eventually
from tests.http import fetched
from tests.hubs import HubProcess
from tests.waiting import until

ADA = enforcing.author("ada")

pytestmark = pytest.mark.xdist_group("config")

_SCHEMA = {
    "type": "object",
    "properties": {
        "leverage": {"type": "number", "maximum": 10, "default": 3},
        "venue": {"type": "string", "enum": ["eurex", "cme"], "default": "cme"},
    },
    "additionalProperties": False,
}


async def put(client: Client, service: str, values: dict[str, Any], **given: Any) -> Any:
    change = {"service": service, "values": values}
    if "revision" in given:
        change["revision"] = given.pop("revision")
    return await call(client, "hub.config.put", {"changes": [change], **given})


async def get(client: Client, service: str) -> Any:
    return await call(client, "hub.config.get", {"service": service})


async def beat(client: Client, service: str, instance: str, **said: Any) -> None:
    await client.publish(f"hub.heartbeat.{service}.{instance}", json.dumps(said).encode())


async def status(client: Client, service: str, **query: Any) -> Any:
    return await call(client, "hub.config.status", {"service": service, **query})


async def test_what_was_put_is_read_back_and_pushed(client: Client) -> None:
    pushed: list[Msg] = []

    async def hear(message: Msg) -> None:
        pushed.append(message)

    await client.subscribe("hub.delta.config.pushed", cb=hear)
    await client.flush()
    done = await put(client, "pushed", {"a": {"b": 1}}, author="ada", reason="first")
    assert done["scopes"] == [
        {
            "service": "pushed",
            "revision": done["revision"],
            "differences": [{"path": "/a", "change": "added", "after": {"b": 1}}],
            "instances": 0,
        }
    ]
    config = await get(client, "pushed")
    assert (config["revision"], config["values"], config["author"]) == (
        done["revision"],
        {"a": {"b": 1}},
        ADA,
    )
    await until(lambda: len(pushed) == 1)
    assert json.loads(pushed[0].data)["values"] == {"a": {"b": 1}}
    assert (pushed[0].headers or {})["Nats-Sequence"] == str(done["revision"])


async def test_a_service_of_which_nothing_is_stored_has_an_empty_configuration(client: Client) -> None:
    config = await get(client, "never-configured")
    assert (config["own_revision"], config["put"]) == (0, {})


async def test_of_two_writers_one_wins_and_the_other_is_told_the_revision(hub: HubProcess, client: Client) -> None:
    first = await put(client, "raced", {"n": 0})
    async with connected(hub.nats_url) as other:
        outcomes = await asyncio.gather(
            *(
                put(each, "raced", {"n": number}, revision=first["revision"], author=f"w{number}")
                for number, each in enumerate((client, other), start=1)
            )
        )
    (won,) = (outcome for outcome in outcomes if "error" not in outcome)
    (lost,) = (outcome["error"] for outcome in outcomes if "error" in outcome)
    assert lost["code"] == "conflict"
    assert f"its newest is {won['revision']}" in lost["message"]


async def test_many_writers_of_many_services_all_get_through_and_lose_nothing(client: Client) -> None:
    async def write(number: int) -> None:
        change = {"service": f"busy-{number % 4}", "values": {f"k{number}": number}}
        assert (await call(client, "hub.config.patch", {"changes": [change]}))["revision"] > 0

    await asyncio.gather(*map(write, range(24)))
    stored = [await get(client, f"busy-{number}") for number in range(4)]
    assert sorted(value for config in stored for value in config["values"].values()) == list(range(24))


async def test_many_services_change_in_one_revision_or_not_at_all(client: Client) -> None:
    await call(client, "hub.config.schema.put", {"service": "all-b", "schema": _SCHEMA})
    changes = [{"service": "all-a", "values": {"x": 1}}, {"service": "all-b", "values": {"leverage": 11}}]
    error = await refusal(client, "hub.config.put", {"changes": changes})
    assert (error["code"], error["message"]) == (
        "invalid_config",
        "all-b: /leverage: expected a number of at most 10, got 11",
    )
    assert (await get(client, "all-a"))["own_revision"] == 0
    changes[1]["values"] = {"leverage": 9}
    done = await call(client, "hub.config.put", {"changes": changes})
    assert [scope["service"] for scope in done["scopes"]] == ["all-a", "all-b"]
    assert (await get(client, "all-a"))["values"] == {"x": 1}
    assert (await get(client, "all-b"))["values"] == {"leverage": 9, "venue": "cme"}


async def test_each_value_tells_where_it_came_from(client: Client) -> None:
    await call(
        client, "hub.config.schema.put", {"service": "layered", "schema": {**_SCHEMA, "additionalProperties": True}}
    )
    assert (await put(client, "_all", {"venue": "eurex"}))["revision"] > 0
    try:
        await put(client, "layered", {"region": "us"})
        config = await get(client, "layered")
        assert config["values"] == {"leverage": 3, "venue": "eurex", "region": "us"}
        assert config["origins"] == {"/leverage": "schema", "/venue": "all", "/region": "service"}
    finally:
        await call(client, "hub.config.delete", {"service": "_all"})
    assert (await get(client, "layered"))["values"] == {"leverage": 3, "venue": "cme", "region": "us"}


async def test_a_dry_run_shows_what_would_change_for_whom_and_stores_nothing(client: Client) -> None:
    await register(client, "dry", "d1")
    await put(client, "dry", {"n": 1})
    before = await get(client, "dry")
    shown = await put(client, "dry", {"n": 2}, dry_run=True)
    assert shown["revision"] == 0
    (scope,) = shown["scopes"]
    assert (scope["service"], scope["instances"]) == ("dry", 1)
    assert scope["differences"] == [{"path": "/n", "change": "changed", "before": 1, "after": 2}]
    assert await get(client, "dry") == before


async def test_every_revision_keeps_who_when_why_and_what(client: Client) -> None:
    for number in range(3):
        await put(client, "storied", {"n": number, "same": 1}, author=f"a{number}", reason=f"r{number}")
    history = await call(client, "hub.config.history", {"service": "storied"})
    assert [(each["author"], each["reason"]) for each in history["revisions"]] == [
        (enforcing.author("a2"), "r2"),
        (enforcing.author("a1"), "r1"),
        (enforcing.author("a0"), "r0"),
    ]
    assert [each["changed"] for each in history["revisions"]] == [["/n"], ["/n"], ["/n", "/same"]]
    first = await call(client, "hub.config.history", {"service": "storied", "limit": 2})
    rest = await call(client, "hub.config.history", {"service": "storied", "before": first["next"]})
    assert [*first["revisions"], *rest["revisions"]] == history["revisions"]
    oldest = history["revisions"][-1]["revision"]
    diff = await call(client, "hub.config.diff", {"service": "storied", "base": oldest})
    assert diff["differences"] == [{"path": "/n", "change": "changed", "before": 0, "after": 2}]
    back = await call(client, "hub.config.rollback", {"service": "storied", "target": oldest})
    assert back["revision"] > history["revisions"][0]["revision"]
    assert (await get(client, "storied"))["values"] == {"n": 0, "same": 1}


async def test_64_revisions_are_kept_and_one_that_is_not_is_named(client: Client) -> None:
    revisions = [(await put(client, "long", {"n": number}))["revision"] for number in range(66)]
    history = await call(client, "hub.config.history", {"service": "long"})
    assert [each["revision"] for each in history["revisions"]] == revisions[:1:-1]
    error = await refusal(client, "hub.config.rollback", {"service": "long", "target": revisions[0]})
    assert (error["code"], error["field"]) == ("not_found", "target")
    assert f"{revisions[0]} is none of them" in error["message"]


async def test_a_rollback_to_what_the_present_schema_refuses_is_refused(client: Client) -> None:
    first = await put(client, "grown", {"leverage": 50})
    await put(client, "grown", {"leverage": 5})
    await call(client, "hub.config.schema.put", {"service": "grown", "schema": _SCHEMA})
    error = await refusal(client, "hub.config.rollback", {"service": "grown", "target": first["revision"]})
    assert error["message"] == "grown: /leverage: expected a number of at most 10, got 50"
    assert (await get(client, "grown"))["values"]["leverage"] == 5


async def test_a_schema_that_what_is_stored_does_not_fit_is_refused_unless_forced(client: Client) -> None:
    await put(client, "forced", {"leverage": 50})
    request: dict[str, Any] = {"service": "forced", "schema": _SCHEMA}
    assert (await refusal(client, "hub.config.schema.put", request))["code"] == "invalid_config"
    await call(client, "hub.config.schema.put", {**request, "force": True})
    stored = await call(client, "hub.config.schema.get", {"service": "forced"})
    assert stored["schema"] == _SCHEMA
    verdict = await call(client, "hub.config.validate", {"service": "forced", "values": {"leverage": 50, "x": 1}})
    assert [violation["path"] for violation in verdict["violations"]] == ["/leverage", "/x"] or not verdict["valid"]


async def test_a_configuration_larger_than_a_message_is_refused_with_the_limit(client: Client) -> None:
    error = await refusal(client, "hub.config.put", {"changes": [{"service": "huge", "values": {"a": "x" * 900_000}}]})
    assert (error["code"], "65536" in error["message"]) == ("payload_too_large", True)


async def test_the_instances_say_what_they_run_and_the_hub_says_who_does_not(client: Client) -> None:
    for instance in ("r1", "r2", "r3", "r4"):
        await register(client, "rolled", instance, port=int(instance[1]))
    reminded: list[str] = []

    async def hear(message: Msg) -> None:
        reminded.append(message.subject)

    await client.subscribe("hub.config.remind.rolled.*", cb=hear)
    first = (await put(client, "rolled", {"n": 1}))["revision"]
    for instance in ("r1", "r2", "r3"):
        await beat(client, "rolled", instance, config_revision=first)
    wanted = (await put(client, "rolled", {"n": 2}))["revision"]
    await beat(client, "rolled", "r1", config_revision=wanted)
    refused = {"revision": wanted, "reason": "n must be odd"}
    await beat(client, "rolled", "r2", config_revision=first, config_refused=refused)
    await client.flush()
    seen = await status(client, "rolled")
    assert seen["wanted"] == wanted
    assert seen["counts"] == {"applied": 1, "refused": 1, "pending": 1, "unknown": 1}
    verdicts = {each["instance_id"]: each for each in seen["instances"]}
    assert verdicts["r2"]["refused"] == refused
    assert (verdicts["r3"]["verdict"], verdicts["r3"]["running"]) == ("pending", first)
    await until(lambda: reminded == ["hub.config.remind.rolled.r3"], within=20)
    page = await status(client, "rolled", limit=3)
    assert [each["instance_id"] for each in page["instances"]] == ["r1", "r2", "r3"]
    rest = await status(client, "rolled", after=page["next"])
    assert [each["instance_id"] for each in rest["instances"]] == ["r4"]


async def test_a_registration_brings_the_configuration_along_in_one_round_trip(client: Client) -> None:
    await put(client, "booted", {"n": 7})
    request = {"name": "booted", "host": "h", "port": 1, "include": ["config"]}
    assert (await call(client, "hub.register", request))["config"] == {"n": 7}


async def test_configuration_outlives_the_hub(hub: HubProcess, client: Client) -> None:
    done = await put(client, "lasting", {"n": 1}, author="ada")
    hub.kill()
    hub.start()
    async with connected(hub.nats_url) as again:
        config = await get(again, "lasting")
        assert (config["revision"], config["values"], config["author"]) == (
            done["revision"],
            {"n": 1},
            ADA,
        )
        assert (await put(again, "lasting", {"n": 2}))["revision"] > done["revision"]


async def test_metrics_tell_how_many_run_what_is_wanted(hub: HubProcess, client: Client) -> None:
    await register(client, "metered", "m1")
    revision = (await put(client, "metered", {"n": 1}))["revision"]
    await beat(client, "metered", "m1", config_refused={"revision": revision, "reason": "no"})
    await client.flush()

    def lines() -> dict[str, float]:
        text = fetched(hub, "/metrics")
        found = (line.rpartition(" ") for line in text.splitlines() if line.startswith("hub_config_"))
        return {name: float(value) for name, _, value in found}

    async def one_has_refused() -> bool:
        return (await asyncio.to_thread(lines))['hub_config_instances{verdict="refused"}'] >= 1

    await eventually(one_has_refused, "the refusal is counted")
    found = await asyncio.to_thread(lines)
    assert found["hub_config_revision"] >= revision
    assert found["hub_config_files_broken"] == 0


async def test_events_tell_what_changed_who_refused_and_when_all_run_it(client: Client) -> None:
    told: list[dict[str, Any]] = []

    async def hear(message: Msg) -> None:
        event = json.loads(message.data)
        if event["data"]["service"] == "eventful":
            told.append({"type": event["type"], **event["data"]})

    await client.subscribe("hub.events.config.*", cb=hear)
    for instance in ("e1", "e2"):
        await register(client, "eventful", instance, port=int(instance[1]))
    revision = (await put(client, "eventful", {"n": 1}, author="ada", reason="why"))["revision"]
    await beat(client, "eventful", "e1", config_revision=revision)
    await beat(client, "eventful", "e2", config_refused={"revision": revision, "reason": "no"})
    await until(lambda: [each["type"] for each in told] == ["config.changed", "config.refused"], within=10)
    assert told[0]["changed"] == ["/n"]
    assert (told[0]["author"], told[0]["reason"], told[0]["revision"]) == (ADA, "why", revision)
    assert (told[1]["instance_id"], told[1]["reason"]) == ("e2", "no")
    await beat(client, "eventful", "e2", config_revision=revision)
    await until(lambda: len(told) == 3, within=10)
    assert told[2] == {"type": "config.applied", "service": "eventful", "revision": revision, "instances": 2}
