"""Canaries against a real hub: tried by some, then put for all, or taken back."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client import CentralHubClient
from hub.errors import InvalidConfig
from tests import enforcing
from tests.calls import call, refusal, register
from tests.clients import service
from tests.commands import run, run_json
from tests.http import browsing
from tests.hubs import HubProcess
from tests.waiting import until

ADA = enforcing.author("ada")

pytestmark = pytest.mark.xdist_group("config")

_REGISTER = ("register", "cautious", "--host", "10.0.0.1", "--port", "8000", "--zone", "eu-1")
EU = {"target": {"zones": ["eu-1"]}, "bake": 0.5}


async def put(client: Client, name: str, values: dict[str, Any], canary: Any = None, **given: Any) -> Any:
    changes = [{"service": name, "values": values}]
    return await call(client, "hub.config.put", {"changes": changes, "canary": canary, **given})


async def steps(client: Client, scope: str) -> list[dict[str, Any]]:
    """Hears the steps of one scope's canaries."""
    heard: list[dict[str, Any]] = []

    async def hear(message: Msg) -> None:
        event = json.loads(message.data)
        if event["subject"] == scope and event["type"] in ("config.canary", "config.promoted", "config.rolledback"):
            heard.append(event)

    await client.subscribe("hub.events.config.*", cb=hear)
    await client.flush()
    return heard


async def pair(stack: AsyncExitStack, hub: HubProcess, name: str) -> tuple[CentralHubClient, CentralHubClient]:
    """An instance in each of two zones, running with what is stored."""
    found = []
    for number, zone in enumerate(("eu-1", "us-1")):
        instance = service(hub.nats_url, name, f"{name}-{zone[:2]}", 8000 + number, zone=zone, version="1.4.2")
        found.append(await stack.enter_async_context(instance))
        await instance.config.load()
    return found[0], found[1]


async def test_some_try_it_and_then_it_is_for_all(hub: HubProcess, client: Client) -> None:
    heard = await steps(client, "tried")
    await put(client, "tried", {"n": 1, "gone": True})
    async with AsyncExitStack() as stack:
        eu, us = await pair(stack, hub, "tried")
        done = await put(client, "tried", {"n": 2}, {**EU, "bake": 2}, author="ada", reason="faster")
        [scope] = done["scopes"]
        assert (scope["instances"], [each["path"] for each in scope["differences"]]) == (1, ["/gone", "/n"])
        await until(lambda: eu.config.revision == us.config.revision == done["revision"])
        assert (eu.config.current, us.config.current) == ({"n": 2}, {"n": 1, "gone": True})
        assert (eu.config.is_canary, us.config.is_canary) == (True, False)
        assert (eu.config.origin("/n"), us.config.origin("/n")) == ("canary", "service")
        status = await call(client, "hub.config.status", {"service": "tried"})
        assert [each.get("canary", False) for each in status["instances"]] == [True, False]
        assert (status["canary"]["author"], status["canary"]["target"]) == (
            ADA,
            {"zones": ["eu-1"]},
        )
        for instance, values in (("tried-eu", {"n": 2}), ("tried-us", {"n": 1, "gone": True})):
            found = await call(client, "hub.config.get", {"service": "tried", "instance": instance})
            assert found["values"] == values
        await until(lambda: us.config.current == eu.config.current == {"n": 2}, "promoted")
        assert not eu.config.is_canary
        await until(lambda: len(heard) == 2)
    assert [event["type"] for event in heard] == ["config.canary", "config.promoted"]
    assert heard[0]["data"]["instances"] == 1
    assert (heard[1]["data"]["author"], heard[1]["data"]["reason"]) == (
        "central-hub",
        "1 of 1 have run with it for 2 s",
    )
    history = await call(client, "hub.config.history", {"service": "tried"})
    assert [each["kind"] for each in history["revisions"]] == ["promote", "canary", "put"]


async def test_refused_by_one_it_is_taken_back_and_the_others_never_had_it(hub: HubProcess, client: Client) -> None:
    heard = await steps(client, "spurned")
    await put(client, "spurned", {"n": 1})
    async with AsyncExitStack() as stack:
        eu, us = await pair(stack, hub, "spurned")
        seen: list[Any] = []
        us.config.on_change(seen.append)

        @eu.config.on_change
        def adopt(values: dict[str, Any]) -> None:
            if values["n"] > 1:
                raise ValueError("n: more than this venue takes")

        await put(client, "spurned", {"n": 2}, {**EU, "bake": 600})
        await until(lambda: len(heard) == 2, "taken back", within=20)
        await until(lambda: eu.config.refused is None, "nothing is refused any more")
        assert (eu.config.current, us.config.current, seen) == ({"n": 1}, {"n": 1}, [])
    assert heard[1]["type"] == "config.rolledback"
    assert heard[1]["data"]["reason"] == "refused by spurned-eu: n: more than this venue takes"
    found = await call(client, "hub.config.get", {"service": "spurned", "instance": "spurned-eu"})
    assert (found["values"], found["canary"]) == ({"n": 1}, None)


async def test_when_one_who_tries_it_becomes_critical_it_is_taken_back(hub: HubProcess, client: Client) -> None:
    heard = await steps(client, "sickened")
    await put(client, "sickened", {"n": 1})
    async with AsyncExitStack() as stack:
        eu, us = await pair(stack, hub, "sickened")
        await put(client, "sickened", {"n": 2}, {**EU, "bake": 600})
        await until(lambda: eu.config.current == {"n": 2})
        eu.set_status("critical", "fills are rejected")
        await until(lambda: eu.config.current == {"n": 1}, "taken back", within=20)
        await until(lambda: len(heard) == 2)
        assert (us.config.current, heard[1]["data"]["reason"]) == ({"n": 1}, "sickened-eu became critical")


async def test_whoever_never_says_that_it_runs_with_it_is_no_proof(hub: HubProcess, client: Client) -> None:
    await register(client, "silent", instance_id="silent-eu", zone="eu-1", ttl=60)
    heard = await steps(client, "silent")
    await put(client, "silent", {"n": 2}, {**EU, "bake": 0})
    await until(lambda: len(heard) == 1)
    for _ in range(3):  # as many rounds of the hub
        await asyncio.sleep(1.0)
        assert (await call(client, "hub.config.get", {"service": "silent"}))["values"] == {}
        await client.publish("hub.heartbeat.silent.silent-eu", b'{"config_revision":0}')
    assert [event["type"] for event in heard] == ["config.canary"]
    await call(client, "hub.config.abort", {"service": "silent"})


async def test_many_scopes_are_tried_and_put_for_all_in_one_step(hub: HubProcess, client: Client) -> None:
    async with AsyncExitStack() as stack:
        one, _ = await pair(stack, hub, "first-of-two")
        other, _ = await pair(stack, hub, "second-of-two")
        changes = [{"service": name, "values": {"n": 2}} for name in ("first-of-two", "second-of-two")]
        await call(client, "hub.config.put", {"changes": changes, "canary": {**EU, "bake": 600}})
        await until(lambda: one.config.current == other.config.current == {"n": 2})
        done = await call(client, "hub.config.promote", {"service": "second-of-two", "author": "ada"})
        assert sorted(scope["service"] for scope in done["scopes"]) == ["first-of-two", "second-of-two"]
        for name in ("first-of-two", "second-of-two"):
            found = await call(client, "hub.config.get", {"service": name})
            assert (found["values"], found["author"], found["canary"]) == ({"n": 2}, ADA, None)


async def test_what_is_shown_first_is_stored_nowhere(hub: HubProcess, client: Client) -> None:
    await register(client, "shown", instance_id="shown-eu", zone="eu-1", ttl=60)
    done = await put(client, "shown", {"n": 1}, EU, dry_run=True)
    assert (done["revision"], done["scopes"][0]["instances"]) == (0, 1)
    assert (await call(client, "hub.config.get", {"service": "shown"}))["canary"] is None


async def test_what_nobody_would_try_is_refused(hub: HubProcess, client: Client) -> None:
    await register(client, "untried", instance_id="untried-us", zone="us-1", ttl=60)
    changes = [{"service": "untried", "values": {"n": 1}}]
    error = await refusal(client, "hub.config.put", {"changes": changes, "canary": EU})
    assert (error["code"], error["field"]) == ("invalid_request", "canary.target")
    assert "matches none of the 1 registered instances of untried" in error["message"]
    error = await refusal(client, "hub.config.put", {"changes": changes, "canary": {"target": {"version": ">=x"}}})
    assert error["field"] == "canary.target.version"


async def test_while_it_is_tried_others_are_told_so(hub: HubProcess, client: Client) -> None:
    await register(client, "occupied", instance_id="occupied-eu", zone="eu-1", ttl=60)
    await put(client, "occupied", {"n": 1}, {**EU, "bake": 600}, author="ada")
    for subject in ("hub.config.put", "hub.config.patch"):
        error = await refusal(client, subject, {"changes": [{"service": "occupied", "values": {"n": 2}}]})
        assert error["code"] == "conflict"
        assert f"by {ADA}; promote or abort it first" in error["message"]
    async with browsing(hub) as http:
        aborted = await http.post("/config/occupied/abort", json={"author": "bob", "reason": "not now"})
        assert aborted.status_code == 200
        again = await http.post("/config/occupied/abort", json={})
        assert (again.status_code, again.json()["code"]) == (404, "not_found")
        tried = await http.get("/config/occupied", params={"instance": "occupied-eu"})
        assert tried.json()["values"] == {}


async def test_only_the_canary_that_was_seen_is_ended_where_its_id_is_given(hub: HubProcess, client: Client) -> None:
    await register(client, "replaced", instance_id="replaced-eu", zone="eu-1", ttl=60)
    await put(client, "replaced", {"n": 1}, {**EU, "bake": 600})
    seen = (await call(client, "hub.config.get", {"service": "replaced"}))["canary"]["id"]
    assert (await call(client, "hub.config.abort", {"service": "replaced", "canary": seen}))["revision"]
    await put(client, "replaced", {"n": 2}, {**EU, "bake": 600})
    for subject in ("hub.config.promote", "hub.config.abort"):
        error = await refusal(client, subject, {"service": "replaced", "canary": seen})
        assert (error["code"], error["field"]) == ("conflict", "canary")
    found = await call(client, "hub.config.get", {"service": "replaced"})
    assert found["values"] == {}
    assert (await call(client, "hub.config.promote", {"service": "replaced", "canary": found["canary"]["id"]}))[
        "scopes"
    ]


def test_the_command_line_tries_promotes_and_aborts(hub: HubProcess) -> None:
    def config(*arguments: str) -> Any:
        return run("config", *arguments, nats=hub.nats_url)

    assert config("set", "cautious", "n=1").returncode == 0
    refused = config("set", "cautious", "n=2", "--canary", "zone=eu-1", "--bake", "10m")
    assert refused.returncode == 1
    assert "matches none of the 0 registered instances" in refused.stderr
    for wrong in (("--canary", "colour=blue"), ("--canary", "percent=0"), ("--bake", "5m"), ("--canary", "version=>x")):
        assert config("set", "cautious", "n=2", *wrong).returncode == 2
    registered = run(*_REGISTER, nats=hub.nats_url)
    assert registered.returncode == 0, registered.stderr
    tried = config("set", "cautious", "n=2", "--canary", "zone=eu-1", "--bake", "10m", "--tolerate", "critical")
    assert tried.returncode == 0, tried.stderr
    assert "for 1 instance" in tried.stdout
    state = run_json("config", "get", "cautious", nats=hub.nats_url)["canary"]
    assert (state["bake"], state["rules"]) == (600.0, {"refused": True, "critical": False})
    assert "a canary is tried by zone eu-1" in config("status", "cautious").stdout
    assert config("abort", "cautious", "--yes").returncode == 0
    assert config("promote", "cautious", "--yes").returncode == 3


async def test_a_schema_that_was_forced_keeps_no_canary_for_ever(hub: HubProcess, client: Client) -> None:
    """Neither what is put nor what is tried is valid any more: there has to be a way out all the same."""
    heard = await steps(client, "forced")
    await put(client, "forced", {"n": 1})
    strict = {"service": "forced", "schema": {"properties": {"n": {"const": 9}}}, "force": True}
    async with AsyncExitStack() as stack:
        eu, _ = await pair(stack, hub, "forced")
        await put(client, "forced", {"n": 2}, {**EU, "bake": 600})
        assert (await call(client, "hub.config.schema.put", strict))["revision"]
        error = await refusal(client, "hub.config.promote", {"service": "forced"})
        assert error["code"] == "invalid_config"
        done = await call(client, "hub.config.abort", {"service": "forced", "author": "ada"})
        assert [each["change"] for each in done["scopes"][0]["differences"]] == ["changed"]
        await call(client, "hub.config.schema.put", {"service": "forced", "schema": None})
        await put(client, "forced", {"n": 3}, {**EU, "bake": 3})
        await call(client, "hub.config.schema.put", strict)
        await until(lambda: len(heard) == 4, "taken back by itself", within=20)
        await until(lambda: eu.config.current == {"n": 1})
    assert [event["type"] for event in heard][2:] == ["config.canary", "config.rolledback"]
    assert "it cannot be put for all: forced: /n: expected 9" in heard[3]["data"]["reason"]


async def test_a_scope_that_nobody_is_there_to_try_does_not_hold_up_the_others(hub: HubProcess, client: Client) -> None:
    heard = await steps(client, "inhabited")
    async with AsyncExitStack() as stack:
        await pair(stack, hub, "inhabited")
        changes = [{"service": name, "values": {"n": 2}} for name in ("deserted", "inhabited")]
        await call(client, "hub.config.put", {"changes": changes, "canary": {**EU, "bake": 2}})
        await until(lambda: len(heard) == 2, "ended", within=20)
    assert heard[1]["type"] == "config.promoted"
    assert (await call(client, "hub.config.get", {"service": "deserted"}))["values"] == {"n": 2}


async def test_however_short_a_critical_moment_is_it_counts(hub: HubProcess, client: Client) -> None:
    heard = await steps(client, "fainted")
    async with AsyncExitStack() as stack:
        eu, _ = await pair(stack, hub, "fainted")
        await put(client, "fainted", {"n": 2}, {**EU, "bake": 600})
        await until(lambda: eu.config.current == {"n": 2})
        await asyncio.sleep(2.5)  # a few rounds of the hub
        for status in (b"critical", b"passing"):
            await client.publish("hub.heartbeat.fainted.fainted-eu", b'{"status":"%s"}' % status)
        await until(lambda: len(heard) == 2, "taken back", within=20)
    assert heard[1]["data"]["reason"] == "fainted-eu became critical"


async def test_who_refuses_it_and_leaves_at_once_has_refused_it(hub: HubProcess, client: Client) -> None:
    """A service that cannot start with what is tried: it comes, and goes, and others fare well."""
    heard = await steps(client, "repelled")
    await put(client, "repelled", {"n": 1})
    async with AsyncExitStack() as stack:
        eu, _ = await pair(stack, hub, "repelled")
        await put(client, "repelled", {"n": "many"}, {**EU, "bake": 600})
        await until(lambda: eu.config.current == {"n": "many"})
        with pytest.raises(InvalidConfig):
            async with service(hub.nats_url, "repelled", "repelled-new", 8009, zone="eu-1") as new:
                await new.config.load(dict[str, int])
        await until(lambda: len(heard) == 2, "taken back", within=20)
    assert heard[1]["data"]["reason"].startswith("refused by repelled-new: ")


async def test_what_has_come_since_and_is_refused_is_no_fault_of_what_is_tried(hub: HubProcess, client: Client) -> None:
    shared = await steps(client, "_all")
    await put(client, "blameless", {"n": 1})
    async with AsyncExitStack() as stack:
        eu, _ = await pair(stack, hub, "blameless")

        @eu.config.on_change
        def adopt(values: dict[str, Any]) -> None:
            if values["n"] > 1:
                raise ValueError("n: too high")

        await put(client, "_all", {"quiet": True}, {"target": {"instances": ["blameless-eu"]}, "bake": 600})
        await until(lambda: eu.config.current == {"n": 1, "quiet": True})
        done = await put(client, "blameless", {"n": 2})
        await until(lambda: eu.config.refused is not None and eu.config.refused.revision == done["revision"])
        await asyncio.sleep(2.5)  # a few rounds of the hub
        assert [event["type"] for event in shared] == ["config.canary"]
        error = await refusal(client, "hub.config.abort", {"service": "blameless"})
        assert error["message"] == "service: no canary of 'blameless' is being tried, but one of '_all' is"
        await call(client, "hub.config.abort", {"service": "_all"})
