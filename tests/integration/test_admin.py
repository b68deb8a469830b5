"""What operators want, over NATS and on the command line, against a real hub and the real SDK."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests import enforcing
from tests.calls import call, connected, discover, ids, refusal, register
from tests.clients import consumer, eventually, service, until_known
from tests.commands import run, run_json
from tests.hubs import HubProcess
from tests.waiting import until

ADA = enforcing.author("ada")

pytestmark = pytest.mark.xdist_group("admin")


async def shown(client: Client, name: str) -> dict[str, Any]:
    """The only instance of a service, as discovery shows it."""
    (instance,) = (await discover(client, name, status="any"))["instances"]
    return dict(instance)


async def test_a_drained_instance_is_not_chosen_from_the_reply_on(client: Client) -> None:
    await register(client, "pair", "p1")
    await register(client, "pair", "p2", port=8001)
    done = await call(client, "hub.admin.drain", {"name": "pair", "instance_id": "p1", "reason": "r", "author": "ada"})
    (row,) = done["instances"]
    assert (row["name"], row["instance_id"], row["status"]) == ("pair", "p1", "draining")
    assert row["revision"] > 0
    assert (row["desired"]["mode"], row["desired"]["reason"], row["desired"]["author"]) == (
        "draining",
        "r",
        ADA,
    )
    assert await ids(client, "pair") == ["p2"]
    assert await ids(client, "pair", status="draining") == ["p1"]
    lifted = await call(client, "hub.admin.undrain", {"name": "pair", "instance_id": "p1"})
    assert lifted["instances"][0]["desired"] == {}
    assert await ids(client, "pair") == ["p1", "p2"]


async def test_a_whole_service_is_drained_and_undrained(client: Client) -> None:
    for number in range(100):
        await register(client, "fleet", f"f{number:02}", port=1000 + number)
    done = await call(client, "hub.admin.drain", {"name": "fleet"})
    assert [row["instance_id"] for row in done["instances"]] == [f"f{number:02}" for number in range(100)]
    assert await ids(client, "fleet") == []
    await register(client, "fleet", "later", port=99)
    assert await ids(client, "fleet") == ["later"]
    await call(client, "hub.deregister", {"name": "fleet", "instance_id": "f00"})
    await call(client, "hub.admin.undrain", {"name": "fleet"})
    await register(client, "fleet", "f00")
    assert len(await ids(client, "fleet")) == 101
    assert (await call(client, "hub.admin.get", {"name": "fleet"}))["instances"] == []


async def test_maintenance_and_draining_take_each_others_place_and_end_apart(client: Client) -> None:
    await register(client, "shop")
    target = {"name": "shop", "instance_id": "shop-1"}
    await call(client, "hub.admin.maintenance", {**target, "on": True})
    assert (await shown(client, "shop"))["status"] == "maintenance"
    await call(client, "hub.admin.undrain", target)
    assert (await shown(client, "shop"))["status"] == "maintenance"
    await call(client, "hub.admin.drain", target)
    await call(client, "hub.admin.maintenance", {**target, "on": False})
    assert (await shown(client, "shop"))["status"] == "draining"
    await call(client, "hub.admin.undrain", target)
    assert (await shown(client, "shop"))["status"] == "passing"


async def test_weight_and_metadata_are_laid_over_and_lifted_again(client: Client) -> None:
    own = {"owner": "ada", "capabilities": ["trade"]}
    await register(client, "scale", weight=70, metadata=own)
    target = {"name": "scale", "instance_id": "scale-1"}
    await call(client, "hub.admin.weight", {**target, "weight": 0})
    await call(client, "hub.admin.metadata", {**target, "metadata": {"capabilities": ["quote"], "note": "x"}})
    await call(client, "hub.admin.metadata", {**target, "metadata": {"note": None, "more": {"deep": 1}}})
    laid = await shown(client, "scale")
    assert laid["weight"] == 0
    assert laid["metadata"] == {"owner": "ada", "capabilities": ["quote"], "more": {"deep": 1}}
    found = await call(client, "hub.discover", {"capabilities": ["quote"]})
    assert [instance["name"] for instance in found["instances"]] == ["scale"]
    await call(client, "hub.admin.weight", {**target, "weight": None})
    await call(client, "hub.admin.metadata", {**target, "metadata": None})
    lifted = await shown(client, "scale")
    assert (lifted["weight"], lifted["metadata"]) == (70, own)


async def test_it_outlives_registering_anew_and_the_registration(client: Client) -> None:
    await register(client, "phoenix")
    target = {"name": "phoenix", "instance_id": "phoenix-1"}
    await call(client, "hub.admin.drain", target)
    await register(client, "phoenix", version="2")
    assert (await shown(client, "phoenix"))["status"] == "draining"
    await call(client, "hub.deregister", target)
    (row,) = (await call(client, "hub.admin.get", {"name": "phoenix"}))["instances"]
    assert (row["status"], row["desired"]["mode"]) == (None, "draining")
    await register(client, "phoenix")
    assert (await shown(client, "phoenix"))["status"] == "draining"


async def test_who_is_not_known_is_refused_unless_that_is_meant(client: Client) -> None:
    target = {"name": "unborn", "instance_id": "unborn-1"}
    refused = await refusal(client, "hub.admin.drain", target)
    assert (refused["code"], refused["field"], refused["status"]) == ("not_found", "instance_id", 404)
    assert (await refusal(client, "hub.admin.drain", {"name": "unborn"}))["field"] == "name"
    assert (await refusal(client, "hub.admin.undrain", target))["code"] == "not_found"
    done = await call(client, "hub.admin.drain", {**target, "unregistered": True})
    assert done["instances"][0]["status"] is None
    await register(client, "unborn")
    assert (await shown(client, "unborn"))["status"] == "draining"


async def test_a_change_that_changes_nothing_writes_nothing(client: Client) -> None:
    await register(client, "calm")
    target = {"name": "calm", "instance_id": "calm-1"}
    first = await call(client, "hub.admin.drain", {**target, "author": "ada"})
    assert await call(client, "hub.admin.drain", {**target, "author": "eve"}) == first
    await call(client, "hub.admin.undrain", target)
    before = await call(client, "hub.admin.get", {})
    assert (await call(client, "hub.admin.undrain", target))["instances"][0]["desired"] == {}
    assert await call(client, "hub.admin.get", {}) == before


async def test_many_changes_of_one_instance_at_once_all_count(client: Client) -> None:
    await register(client, "busy")
    target = {"name": "busy", "instance_id": "busy-1"}
    replies = await asyncio.gather(
        *(call(client, "hub.admin.metadata", {**target, "metadata": {f"k{n}": n}}) for n in range(12))
    )
    assert all("instances" in reply for reply in replies), replies
    assert (await shown(client, "busy"))["metadata"] == {f"k{n}": n for n in range(12)}


async def test_too_much_metadata_is_refused_and_changes_nothing(client: Client) -> None:
    await register(client, "heavy")
    target = {"name": "heavy", "instance_id": "heavy-1"}
    await call(client, "hub.admin.metadata", {**target, "metadata": {"a": "x" * 10_000}})
    refused = await refusal(client, "hub.admin.metadata", {**target, "metadata": {"b": "x" * 10_000}})
    assert refused["code"] == "payload_too_large"
    assert list((await shown(client, "heavy"))["metadata"]) == ["a"]


async def test_what_is_wanted_is_listed_in_pages(client: Client) -> None:
    for number in range(5):
        target = {"name": "paged", "instance_id": f"p{number}", "unregistered": True}
        await call(client, "hub.admin.weight", {**target, "weight": number})
    first = await call(client, "hub.admin.get", {"name": "paged", "limit": 3})
    rest = await call(client, "hub.admin.get", {"name": "paged", "after": first["next"]})
    rows = first["instances"] + rest["instances"]
    assert [(row["instance_id"], row["desired"]["weight"]) for row in rows] == [(f"p{n}", n) for n in range(5)]
    assert (first["next"], rest["next"]) == ("paged.p2", None)
    (one,) = (await call(client, "hub.admin.get", {"name": "paged", "instance_id": "p3"}))["instances"]
    assert one == rows[3]
    everybody = await call(client, "hub.admin.get", {})
    assert [row for row in everybody["instances"] if row["name"] == "paged"] == rows


async def test_a_list_longer_than_a_message_may_be_is_cut_and_goes_on(client: Client) -> None:
    for number in range(80):
        await register(client, "long", f"l{number:02}", port=1 + number)
    cut = await call(client, "hub.admin.metadata", {"name": "long", "metadata": {"text": "x" * 16_000}})
    assert 0 < len(cut["instances"]) < 80
    rows = list(cut["instances"])
    while cut["next"]:
        cut = await call(client, "hub.admin.get", {"name": "long", "after": cut["next"]})
        rows += cut["instances"]
    assert [row["instance_id"] for row in rows] == [f"l{number:02}" for number in range(80)]
    assert all(row["desired"]["metadata"] for row in rows)


async def test_the_event_the_record_and_the_health_report_say_why(client: Client) -> None:
    heard: dict[str, list[Any]] = {}

    async def on_message(message: Msg) -> None:
        heard.setdefault(message.subject, []).append(json.loads(message.data))

    for subject in ("hub.events.service.desired", "hub.health.open", "hub.delta.registry.open.*"):
        await client.subscribe(subject, cb=on_message)
    await register(client, "open")
    target = {"name": "open", "instance_id": "open-1"}
    await call(client, "hub.admin.drain", {**target, "reason": "rack move", "author": "ada"})

    def reports() -> list[Any]:
        found = heard.get("hub.health.open", [])
        return [i for report in found for i in report["instances"] if i["status"] == "draining"]

    def records() -> list[Any]:
        found = heard.get("hub.delta.registry.open.open-1", [])
        return [record for record in found if record.get("status") == "draining"]

    def events() -> list[Any]:
        found = heard.get("hub.events.service.desired", [])
        return [event for event in found if event["subject"] == "open.open-1"]

    await until(lambda: reports() and records() and events(), f"all three are heard: {heard}")
    assert reports()[0]["reason"] == "rack move"
    assert (records()[0]["reason"], records()[0]["desired"]["author"]) == ("rack move", ADA)
    data = events()[0]["data"]
    assert (data["change"], data["reason"], data["author"]) == ("drain", "rack move", ADA)
    assert data["desired"]["mode"] == "draining"


async def test_the_sdk_stops_choosing_a_drained_instance_and_counts_its_new_weight(hub: HubProcess) -> None:
    async with (
        connected(hub.nats_url) as client,
        service(hub.nats_url, "chosen", "c1"),
        service(hub.nats_url, "chosen", "c2", port=8001),
        consumer(hub.nats_url) as looking,
    ):
        await until_known(looking, "chosen", ["c1", "c2"])
        await call(client, "hub.admin.drain", {"name": "chosen", "instance_id": "c1"})
        await until_known(looking, "chosen", ["c2"])
        assert {(await looking.discover("chosen")).instance_id for _ in range(20)} == {"c2"}
        await call(client, "hub.admin.undrain", {"name": "chosen", "instance_id": "c1"})
        await until_known(looking, "chosen", ["c1", "c2"])
        await call(client, "hub.admin.weight", {"name": "chosen", "instance_id": "c1", "weight": 0})

        async def weightless() -> bool:
            return [i.weight for i in await looking.discover_all("chosen")] == [0, 100]

        await eventually(weightless, "the weight is known")
        found = Counter([(await looking.discover("chosen", strategy="weighted")).instance_id for _ in range(200)])
        assert found == {"c2": 200}


@pytest.mark.open_only("about the processes of commands")
def test_the_verbs_do_what_they_say(hub: HubProcess) -> None:
    nats = hub.nats_url
    assert run("register", "tool", "--host", "h", "--port", "1", "--instance-id", "t1", nats=nats).returncode == 0
    drained = run_json("drain", "tool", "t1", "--reason", "rack move", "--author", "ada", nats=nats)
    assert drained["instances"][0]["desired"]["reason"] == "rack move"
    assert run("discover", "tool", nats=nats).returncode == 3
    assert "draining" in run("discover", "tool", "--status", "any", nats=nats).stdout
    listed = run("desired", "tool", nats=nats)
    heading, row = (line.split() for line in listed.stdout.splitlines())
    expected = "SERVICE INSTANCE STATUS WANTED WEIGHT METADATA REASON AUTHOR CHANGED"
    assert heading == expected.split()
    assert row[:-1] == ["tool", "t1", "draining", "draining", "-", "-", "rack", "move", ADA]
    assert run("undrain", "tool", nats=nats).returncode == 0
    assert run("maintenance", "on", "tool", "t1", nats=nats).returncode == 0
    assert "maintenance" in run("discover", "tool", "--status", "any", nats=nats).stdout
    assert run("maintenance", "off", "tool", "t1", nats=nats).returncode == 0
    assert run("weight", "tool", "t1", "7", nats=nats).returncode == 0
    assert run("metadata", "tool", "t1", "a=1", '{"b": 2}', "c=3", nats=nats).returncode == 0
    assert run("metadata", "tool", "t1", "--unset", "c", nats=nats).returncode == 0
    (instance,) = run_json("discover", "tool", nats=nats)["instances"]
    assert (instance["weight"], instance["metadata"]) == (7, {"a": "1", "b": 2})
    assert run("weight", "tool", "t1", "--reset", nats=nats).returncode == 0
    assert run("metadata", "tool", "t1", "--reset", nats=nats).returncode == 0
    (instance,) = run_json("discover", "tool", nats=nats)["instances"]
    assert (instance["weight"], instance["metadata"]) == (100, {})
    nothing = run("desired", "tool", nats=nats)
    assert (nothing.returncode, nothing.stderr) == (3, "hub: nothing is wanted of tool\n")


@pytest.mark.open_only("about the processes of commands")
def test_the_verbs_end_with_the_exit_codes_of_the_others(hub: HubProcess) -> None:
    nats = hub.nats_url
    for arguments in (("drain", "nobody"), ("undrain", "nobody", "n1"), ("weight", "nobody", "n1", "3")):
        done = run(*arguments, nats=nats)
        assert (done.returncode, done.stdout) == (3, ""), arguments
    assert run("drain", "nobody", "n1", "--unregistered", nats=nats).returncode == 0
    assert run("undrain", "nobody", "n1", nats=nats).returncode == 0
    refused = run("weight", "nobody", "n1", "10001", nats=nats)
    assert refused.returncode == 1
    assert refused.stderr.startswith("hub: weight: expected 0..10000, got 10001 (request ")
    for wrong in (
        ("weight", "a", "b"),
        ("weight", "a", "b", "3", "--reset"),
        ("metadata", "a", "b"),
        ("metadata", "a", "b", "k=v", "--reset"),
        ("metadata", "a", "b", "word"),
        ("maintenance", "perhaps", "a"),
    ):
        assert run(*wrong, nats=nats).returncode == 2, wrong
