"""`hub.key.*` and `hub.access.*` against a real hub, over NATS and over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import RawStreamMsg

from hub.identity.apikeys import digest, parse
from hub.wire.roles import RIGHTS
from tests import enforcing
from tests.calls import call, connected, connected_as, refusal
from tests.http import browsing
from tests.hubs import HubProcess
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("keys")


async def create(client: Client, name: str, **more: Any) -> Any:
    issued = await call(client, "hub.key.create", {"name": name, **more})
    assert "key" in issued, issued
    return issued


async def listed(client: Client, key_id: str) -> Any:
    keys = (await call(client, "hub.key.list"))["keys"]
    return next((key for key in keys if key["id"] == key_id), None)


async def record_of(hub: HubProcess, key_id: str) -> RawStreamMsg:
    """What the hub has stored of a key."""
    async with connected_as(enforcing.HUB, hub.nats_url) as within:
        return await within.jetstream().get_last_msg("KV_hub-access", f"$KV.hub-access.key.{key_id}")


async def test_a_key_is_told_once_and_its_hash_alone_is_stored(hub: HubProcess, client: Client) -> None:
    issued = await create(client, "partner", scopes=["health", "discover"], author="ada", reason="dashboard")
    parts = parse(issued["key"])
    assert parts is not None
    assert parts[0] == issued["id"]
    assert issued["scopes"] == ["discover", "health"]
    told = await listed(client, issued["id"])
    assert datetime.fromisoformat(told.pop("created")) <= datetime.now(UTC)
    assert told == {
        "id": issued["id"],
        "name": "partner",
        "role": "external",
        "state": "valid",
        "scopes": ["discover", "health"],
        "expires": None,
        "used": None,
        "author": enforcing.author("ada"),
        "reason": "dashboard",
        "replaced_by": None,
    }
    stored = await record_of(hub, issued["id"])
    assert stored.data is not None
    assert parts[1].encode() not in stored.data
    assert b'"digest"' in stored.data
    assert len(digest(parts[1])) == 32


@pytest.mark.parametrize(
    ("message", "field", "words"),
    [
        ({"name": "a/b/c", "role": "service"}, "name", "an instance id"),
        ({"name": "Engine", "role": "service"}, "name", "a DNS label"),
        (
            {"name": "x", "scopes": ["discover", "everything"]},
            "scopes[1]",
            ", ".join(sorted(RIGHTS)),
        ),
        ({"name": "x", "expires": "2020-01-01T00:00:00Z"}, "expires", "a time to come"),
        ({"name": "x", "expires": "2999-01-01T00:00:00Z"}, "expires", "within ten years"),
        ({"name": "x", "expires": "2030-01-01T00:00:00Z", "ttl": 60}, "ttl", "either"),
    ],
)
async def test_a_key_that_could_let_nobody_in_is_not_made(
    client: Client, message: dict[str, Any], field: str, words: str
) -> None:
    error = await refusal(client, "hub.key.create", message)
    assert (error["code"], error["field"]) == ("invalid_request", field)
    assert words in error["message"]


async def test_a_key_with_an_end_is_valid_until_then_and_forgotten_a_month_later(
    hub: HubProcess, client: Client
) -> None:
    issued = await create(client, "short", ttl=1)
    assert datetime.fromisoformat(issued["expires"]) <= datetime.now(UTC) + timedelta(seconds=1)
    stored = await record_of(hub, issued["id"])
    assert stored.headers is not None
    assert 30 * 86_400 <= int(stored.headers["Nats-TTL"].removesuffix("s")) <= 30 * 86_400 + 1
    states: list[str] = []
    while "expired" not in states:
        states.append((await listed(client, issued["id"]))["state"])
    error = await refusal(client, "hub.key.rotate", {"id": issued["id"]})
    assert (error["code"], error["field"]) == ("conflict", "id")
    assert "is expired" in error["message"]


async def test_rotating_makes_another_key_and_ends_the_old_one_with_the_overlap(client: Client) -> None:
    old = await create(client, "rotated", role="reader", scopes=["discover"], ttl=86_400)
    new = await call(client, "hub.key.rotate", {"id": old["id"], "overlap": 3600, "author": "ada"})
    assert new["replaces"] == old["id"]
    assert new["id"] != old["id"]
    assert parse(new["key"]) is not None
    assert (new["name"], new["role"], new["scopes"]) == ("rotated", "reader", ["discover"])
    told = await listed(client, old["id"])
    assert (told["state"], told["replaced_by"], told["expires"]) == ("valid", new["id"], new["overlap_until"])
    left = (datetime.fromisoformat(told["expires"]) - datetime.now(UTC)).total_seconds()
    assert 3500 < left <= 3600
    lasting = (datetime.fromisoformat(new["expires"]) - datetime.now(UTC)).total_seconds()
    assert 86_300 < lasting <= 86_400, "as long as the old one was made for"
    error = await refusal(client, "hub.key.rotate", {"id": old["id"]})
    assert error["code"] == "conflict"
    assert new["id"] in error["message"]
    now = await call(client, "hub.key.rotate", {"id": new["id"], "overlap": 0})
    assert (await listed(client, new["id"]))["state"] == "expired"
    assert (await listed(client, now["id"]))["state"] == "valid"


async def test_a_revoked_key_is_one_until_it_is_restored(client: Client) -> None:
    issued = await create(client, "revoked")
    what = f"key:{issued['id']}"
    done = await call(client, "hub.key.revoke", {"id": issued["id"], "author": "ada", "reason": "leaked"})
    assert (done["credential"], done["who"]) == (what, None)
    assert (await listed(client, issued["id"]))["state"] == "revoked"
    told = next(each for each in (await call(client, "hub.access.list"))["revoked"] if each["credential"] == what)
    assert (told["author"], told["reason"], told["who"]) == (enforcing.author("ada"), "leaked", None)
    assert (await refusal(client, "hub.key.rotate", {"id": issued["id"]}))["code"] == "conflict"
    await call(client, "hub.access.restore", {"credential": what})
    assert (await listed(client, issued["id"]))["state"] == "valid"
    assert (await refusal(client, "hub.access.restore", {"credential": what}))["code"] == "not_found"
    assert (await refusal(client, "hub.key.revoke", {"id": "a1B2c3D4e5"}))["code"] == "not_found"


async def test_the_keys_of_a_caller_who_is_revoked_are_so(client: Client) -> None:
    issued = await create(client, "engine/a1", role="service")
    await call(client, "hub.access.revoke", {"who": "service:engine"})
    assert (await listed(client, issued["id"]))["state"] == "revoked"
    await call(client, "hub.access.restore", {"who": "service:engine"})
    assert (await listed(client, issued["id"]))["state"] == "valid"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"who": "service:engine", "credential": "nkey:UA"},
        {"who": "engine"},
        {"who": "root:engine"},
        {"credential": "engine"},
        {"credential": "nkey: "},
        {"credential": "key:hk_a1B2c3D4e5_0123456789abcdefghijklmnopqrstuvwxyz-_ABCDE"},
    ],
)
@pytest.mark.parametrize("subject", ["hub.access.revoke", "hub.access.restore"])
async def test_what_is_revoked_is_one_caller_or_one_credential(
    client: Client, subject: str, message: dict[str, Any]
) -> None:
    error = await refusal(client, subject, message)
    assert error["code"] == "invalid_request"
    assert error["field"] in ("who", "credential")
    assert "0123456789abc" not in json.dumps(error)


async def test_lists_are_told_in_pages(client: Client) -> None:
    for number in range(3):
        await create(client, f"paged-{number}")
        await call(client, "hub.access.revoke", {"who": f"external:paged-{number}"})
    for subject, field, of in (("hub.key.list", "keys", "id"), ("hub.access.list", "revoked", "who")):
        everything = (await call(client, subject))[field]
        page = await call(client, subject, {"limit": 2})
        pages = page[field]
        while page["next"] is not None:
            page = await call(client, subject, {"limit": 2, "after": page["next"]})
            assert 0 < len(page[field]) <= 2
            pages += page[field]
        assert pages == everything
        assert len({each[of] for each in pages}) == len(pages)


async def test_events_tell_what_was_done_by_whom_and_never_the_key(client: Client) -> None:
    heard: list[Any] = []

    async def hear(message: Msg) -> None:
        heard.append(json.loads(message.data))

    await client.subscribe("hub.events.>", cb=hear)
    await client.flush()
    issued = await create(client, "told", author="ada")
    rotated = await call(client, "hub.key.rotate", {"id": issued["id"], "author": "bob"})
    await call(client, "hub.key.revoke", {"id": rotated["id"], "author": "cy", "reason": "leaked"})
    await call(client, "hub.access.restore", {"credential": f"key:{rotated['id']}"})
    about = [f"key:{issued['id']}", f"key:{rotated['id']}"]
    await until(lambda: sum(event["subject"] in about for event in heard) == 4)
    events = [event for event in heard if event["subject"] in about]
    assert [(e["type"], e["subject"], e["data"]["author"]) for e in events] == [
        ("key.created", f"key:{issued['id']}", enforcing.author("ada")),
        ("key.rotated", f"key:{rotated['id']}", enforcing.author("bob")),
        ("access.revoked", f"key:{rotated['id']}", enforcing.author("cy")),
        ("access.restored", f"key:{rotated['id']}", enforcing.author("")),
    ]
    assert len({event["id"] for event in events}) == 4
    for key in (issued["key"], rotated["key"]):
        assert key.rpartition("_")[2] not in json.dumps(events)


async def test_of_two_who_rotate_the_same_key_one_gets_one(client: Client) -> None:
    issued = await create(client, "contended")
    question = {"id": issued["id"], "overlap": 60}
    answers = await asyncio.gather(*(call(client, "hub.key.rotate", question) for _ in range(5)))
    won = [answer for answer in answers if "key" in answer]
    assert len(won) == 1
    assert {answer["error"]["code"] for answer in answers if "error" in answer} == {"conflict"}
    named = [key["id"] for key in (await call(client, "hub.key.list"))["keys"] if key["name"] == "contended"]
    assert sorted(named) == sorted([issued["id"], won[0]["id"]]), "nobody has a key that nobody was told"


async def test_operators_have_it_all_over_http(hub: HubProcess, client: Client) -> None:
    async with browsing(hub) as http:
        issued = (await http.post("/keys", json={"name": "over-http", "ttl": 60})).json()
        assert parse(issued["key"]) is not None
        keys = await http.get("/keys")
        assert issued["id"] in [key["id"] for key in keys.json()["keys"]]
        assert issued["key"] not in keys.text
        rotated = (await http.post(f"/keys/{issued['id']}/rotate", json={"overlap": 5})).json()
        assert rotated["replaces"] == issued["id"]
        assert (await http.delete(f"/keys/{rotated['id']}", params={"author": "ada"})).json()["credential"]
        assert (await http.delete("/keys/a1B2c3D4e5")).status_code == 404
        assert (await http.post("/access/revoked", json={"who": "external:over-http"})).status_code == 200
        revoked = (await http.get("/access/revoked")).json()["revoked"]
        assert {"external:over-http", f"key:{rotated['id']}"} <= {e["who"] or e["credential"] for e in revoked}
        assert (await http.delete("/access/revoked", params={"who": "external:over-http"})).status_code == 200
        assert (await http.delete("/access/revoked", params={"who": "external:over-http"})).status_code == 404
        error = (await http.delete(f"/keys/{rotated['key']}")).text
        assert rotated["key"].rpartition("_")[2] not in error


@pytest.fixture
def pair(hub: HubProcess, tmp_path: Path) -> Iterator[HubProcess]:
    """Another replica."""
    with HubProcess(tmp_path / "pair", nats_url=hub.nats_url) as process:
        yield process


async def test_every_replica_knows_what_one_has_stored(hub: HubProcess, pair: HubProcess) -> None:
    async with (
        connected(hub.nats_url) as client,
        browsing(hub) as here,
        browsing(pair) as there,
    ):
        issued = await create(client, "everywhere")
        await call(client, "hub.access.revoke", {"who": "external:everywhere"})
        deadline = asyncio.get_running_loop().time() + PATIENCE
        for http in (here, there):
            states: list[str] = []
            while states != ["revoked"]:
                assert asyncio.get_running_loop().time() < deadline, states
                keys = (await http.get("/keys")).json()["keys"]
                states = [key["state"] for key in keys if key["id"] == issued["id"]]
