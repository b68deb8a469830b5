"""Configuration over HTTP, from a real hub: the same as on NATS, with the scope in the path."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from tests import enforcing
from tests.calls import call, refusal, register
from tests.clients import eventually
from tests.contract.golden import INVALID, Golden, name_of
from tests.http import browsing, problem
from tests.hubs import HubProcess

ADA = enforcing.author("ada")

_SCHEMA = {
    "type": "object",
    "properties": {
        "risk": {
            "type": "object",
            "properties": {"max_leverage": {"type": "integer", "maximum": 10}, "post_only": {"default": True}},
        }
    },
}


@pytest.fixture
async def http(hub: HubProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with browsing(hub) as client:
        yield client


async def put(http: httpx.AsyncClient, scope: str, values: Any, **more: Any) -> Any:
    """Put the configuration of a scope; returns what that came to."""
    response = await http.put(f"/config/{scope}", json={"values": values, **more})
    assert response.status_code == 200, response.text
    return response.json()


async def values(http: httpx.AsyncClient, scope: str) -> Any:
    """What a service is to run with."""
    return (await http.get(f"/config/{scope}")).json()["values"]


async def test_what_is_put_over_http_is_what_nats_answers(http: httpx.AsyncClient, client: Client) -> None:
    changed = await put(http, "told", {"risk": {"max_leverage": 3}}, author="ada", reason="calm markets")
    assert [scope["service"] for scope in changed["scopes"]] == ["told"]
    response = await http.get("/config/told")
    assert response.json() == await call(client, "hub.config.get", {"service": "told"})
    told = response.json()
    assert (told["put"], told["author"], told["reason"]) == (
        {"risk": {"max_leverage": 3}},
        ADA,
        "calm markets",
    )
    assert response.headers["hub-revision"] == str(changed["revision"])


async def test_what_is_configured_is_listed_page_by_page(http: httpx.AsyncClient, client: Client) -> None:
    for scope in ("listed-a", "listed-b"):
        await put(http, scope, {"n": 1}, author="ada", reason="there")
    response = await http.get("/config", params={"after": "listed", "limit": 1})
    [row] = response.json()["scopes"]
    assert (row["service"], row["kind"], row["author"], row["has_schema"]) == (
        "listed-a",
        "put",
        ADA,
        False,
    )
    following = await http.get(response.links["next"]["url"])
    assert following.json()["scopes"][0]["service"] == "listed-b"
    assert (await http.get("/config", headers={"If-None-Match": "x"})).headers["etag"]
    told = await call(client, "hub.config.list", {"after": "listed", "limit": 1})
    assert told["scopes"] == [row]


async def test_a_patch_changes_what_it_names_and_null_removes(http: httpx.AsyncClient) -> None:
    await put(http, "patched", {"a": 1, "b": {"c": 2, "d": 3}})
    kind = {"content-type": "application/merge-patch+json"}
    response = await http.patch("/config/patched", content=b'{"values":{"a":null,"b":{"c":5}}}', headers=kind)
    assert response.status_code == 200
    assert (await http.get("/config/patched")).json()["put"] == {"b": {"c": 5, "d": 3}}


async def test_who_has_it_already_is_not_sent_it_again_until_it_changes(http: httpx.AsyncClient) -> None:
    await put(http, "tagged", {"a": 1})
    tag = (await http.get("/config/tagged")).headers["etag"]
    assert (await http.get("/config/tagged", headers={"if-none-match": tag})).status_code == 304
    await put(http, "tagged", {"a": 2})
    assert (await http.get("/config/tagged", headers={"if-none-match": tag})).status_code == 200


async def test_a_change_of_what_has_changed_meanwhile_is_a_conflict(http: httpx.AsyncClient, client: Client) -> None:
    known = (await put(http, "raced", {"a": 1}, revision=0))["revision"]
    await put(http, "raced", {"a": 2}, revision=known)
    for response in (
        await http.put("/config/raced", json={"values": {"a": 3}, "revision": known}),
        await http.patch("/config/raced", json={"values": {"a": 3}, "revision": known}),
        await http.post("/config/raced/rollback", json={"target": known, "revision": known}),
        await http.put("/config/raced/schema", json={"schema": None, "revision": known}),
        await http.delete("/config/raced", params={"revision": known}),
    ):
        assert response.status_code == 409, response.request
        assert problem(response)["code"] == "conflict"
    message = {"changes": [{"service": "raced", "values": {"a": 3}, "revision": known}]}
    on_nats = await refusal(client, "hub.config.put", message)
    over_http = problem(await http.put("/config/raced", json={"values": {"a": 3}, "revision": known}))
    assert (over_http["detail"], over_http["field"]) == (on_nats["message"], on_nats["field"])
    assert (await http.get("/config/raced")).json()["put"] == {"a": 2}


@pytest.mark.parametrize("ahead", [1, 1000, 2**63, 10**40])
async def test_a_revision_that_never_was_is_a_conflict_too(http: httpx.AsyncClient, ahead: int) -> None:
    known = (await http.get("/config/ahead")).json()["own_revision"] or (await put(http, "ahead", {"a": 1}))["revision"]
    response = await http.put("/config/ahead", json={"values": {"a": 2}, "revision": known + ahead})
    assert response.status_code == 409
    assert problem(response)["code"] == "conflict"
    assert (await http.get("/config/ahead/diff", params={"target": known + ahead})).status_code == 404


async def test_a_dry_run_tells_what_would_differ_and_stores_nothing(http: httpx.AsyncClient, client: Client) -> None:
    await register(client, "rehearsed", "r1")
    before = (await put(http, "rehearsed", {"a": 1}))["revision"]
    for response in (
        await http.put("/config/rehearsed", json={"values": {"a": 2}, "dry_run": True}),
        await http.patch("/config/rehearsed", json={"values": {"a": 2}, "dry_run": True}),
    ):
        [scope] = response.json()["scopes"]
        assert response.json()["revision"] == 0
        assert scope["differences"] == [{"path": "/a", "change": "changed", "before": 1, "after": 2}]
        assert scope["instances"] == 1
    assert (await http.delete("/config/rehearsed?dry_run=true")).json()["revision"] == 0
    assert (await http.get("/config/rehearsed")).json()["own_revision"] == before


async def test_many_services_change_in_one_step_or_none_of_them(http: httpx.AsyncClient) -> None:
    both = [{"service": "left", "values": {"a": 1}}, {"service": "right", "values": {"a": 1}}]
    changed = (await http.post("/config", json={"changes": both, "author": "ada"})).json()
    assert [scope["service"] for scope in changed["scopes"]] == ["left", "right"]
    late = [{"service": "left", "values": {"a": 2}}, {"service": "right", "values": {"a": 2}, "revision": 0}]
    assert (await http.post("/config", json={"changes": late})).status_code == 409
    assert await values(http, "left") == await values(http, "right") == {"a": 1}


async def test_what_is_not_valid_by_its_schema_is_refused_and_every_place_is_named(http: httpx.AsyncClient) -> None:
    given = await http.put("/config/strict/schema", json={"schema": _SCHEMA, "author": "ada"})
    assert given.status_code == 200, given.text
    assert (await http.get("/config/strict/schema")).json()["schema"] == _SCHEMA
    wrong = {"risk": {"max_leverage": 25}}
    verdict = await http.post("/config/strict/validate", json={"values": wrong})
    assert (verdict.status_code, verdict.json()["valid"]) == (200, False)
    assert [each["path"] for each in verdict.json()["violations"]] == ["/risk/max_leverage"]
    refused = await http.put("/config/strict", json={"values": wrong})
    assert refused.status_code == 422
    assert problem(refused)["code"] == "invalid_config"
    assert "/risk/max_leverage" in problem(refused)["detail"]
    fine = await http.post("/config/strict/validate", json={"values": {"risk": {"max_leverage": 3}}})
    assert fine.json() == {"valid": True, "violations": []}
    assert (await http.get("/config/strict")).json()["put"] == {}


async def test_the_history_is_linked_and_an_earlier_revision_can_be_had_again(http: httpx.AsyncClient) -> None:
    stored = [(await put(http, "old", {"a": number}, author="ada"))["revision"] for number in range(4)]
    seen: list[int] = []
    path = "/config/old/history?limit=3"
    while path:
        response = await http.get(path)
        seen += [each["revision"] for each in response.json()["revisions"]]
        path = response.links.get("next", {}).get("url", "")
    assert seen == stored[::-1]
    diff = (await http.get("/config/old/diff", params={"base": stored[0], "target": stored[3]})).json()
    assert diff["differences"] == [{"path": "/a", "change": "changed", "before": 0, "after": 3}]
    assert (await http.get("/config/old/diff")).json()["base"] == stored[2]
    back = await http.post("/config/old/rollback", json={"target": stored[1], "reason": "fills got worse"})
    assert back.json()["revision"] > stored[3]
    assert await values(http, "old") == {"a": 1}
    assert (await http.get("/config/old/history?limit=1")).json()["revisions"][0]["kind"] == "rollback"


async def test_what_is_not_kept_is_not_there(http: httpx.AsyncClient) -> None:
    known = (await put(http, "young", {"a": 1}))["revision"]
    for response in (
        await http.get(f"/config/young/diff?target={known + 1000}"),
        await http.get("/config/unheard-of/diff"),
        await http.post("/config/young/rollback", json={"target": known + 1000}),
        await http.delete("/config/unheard-of"),
    ):
        assert response.status_code == 404, response.request
        assert problem(response)["code"] == "not_found"
    assert (await http.get("/config/unheard-of")).json()["own_revision"] == 0
    assert (await http.get("/config/unheard-of/history")).json()["revisions"] == []


async def test_deleting_leaves_what_all_share_and_the_history(http: httpx.AsyncClient) -> None:
    shared = await put(http, "_all", {"log_level": "info"})
    await put(http, "gone", {"a": 1})
    assert await values(http, "gone") == {"a": 1, "log_level": "info"}
    deleted = await http.delete("/config/gone", params={"author": "ada", "reason": "over"})
    assert deleted.json()["revision"] > shared["revision"]
    told = (await http.get("/config/gone")).json()
    assert (told["values"], told["origins"]) == ({"log_level": "info"}, {"/log_level": "all"})
    kinds = [each["kind"] for each in (await http.get("/config/gone/history")).json()["revisions"]]
    assert kinds == ["delete", "put"]
    await http.delete("/config/_all")


async def test_who_runs_with_what_and_who_has_refused_is_told_page_by_page(
    http: httpx.AsyncClient, client: Client
) -> None:
    for number in (1, 2, 3):
        await register(client, "running", f"run{number}", port=number)
    wanted = (await put(http, "running", {"a": 1}))["revision"]
    beats = {
        "run1": {"config_revision": wanted},
        "run2": {"config_refused": {"revision": wanted, "reason": "a: must be even"}},
    }
    for instance, beat in beats.items():
        assert (await http.put(f"/discovery/services/running/{instance}/heartbeat", json=beat)).status_code == 204

    async def all_heard() -> bool:
        told = (await http.get("/config/running/status")).json()
        verdicts = {each["instance_id"]: each["verdict"] for each in told["instances"]}
        return (verdicts.get("run1"), verdicts.get("run2")) == ("applied", "refused")

    await eventually(all_heard, "both beats are heard")
    first = await http.get("/config/running/status?limit=2")
    told = first.json()
    assert told["wanted"] == wanted
    assert told["instances"][1]["refused"] == {"revision": wanted, "reason": "a: must be even"}
    rest = (await http.get(first.links["next"]["url"])).json()
    assert [each["instance_id"] for each in rest["instances"]] == ["run3"]
    assert "link" not in (await http.get("/config/running/status")).headers


async def test_every_change_is_pushed_to_whoever_listens_on_nats(http: httpx.AsyncClient, client: Client) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    await client.subscribe("hub.delta.config.pushed", cb=heard.put)
    await client.flush()
    changed = await put(http, "pushed", {"a": 1})
    message = await asyncio.wait_for(heard.get(), 20)
    assert message.headers["Nats-Sequence"] == str(changed["revision"])
    assert json.loads(message.data)["values"] == {"a": 1}


# --- the same words

_ROUTES = {
    "rollback-config": ("POST", "rollback"),
    "validate-config": ("POST", "validate"),
    "put-config-schema": ("PUT", "schema"),
}


def _placed(golden: Golden) -> bool:
    """Whether it is refused for what stands in the body over HTTP."""
    return golden.message in _ROUTES and "service" in golden.content["message"]


@pytest.mark.parametrize("golden", [each for each in INVALID if _placed(each)], ids=name_of)
async def test_a_bad_body_is_refused_in_the_words_of_nats(http: httpx.AsyncClient, golden: Golden) -> None:
    method, route = _ROUTES[golden.message]
    body = {name: value for name, value in golden.content["message"].items() if name != "service"}
    told = problem(await http.request(method, f"/config/trading-engine/{route}", json=body))
    expected = golden.content["error"]
    assert (told["detail"], told["field"], told["status"]) == (expected["message"], expected["field"], 400)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "changes[0].values"),
        (b"{}", "changes[0].values"),
        (b'{"values":[]}', "changes[0].values"),
        (b'{"values":{},"revision":-1}', "changes[0].revision"),
        (b'{"values":{},"dry_run":"yes"}', "dry_run"),
        (b"[]", None),
        (b"{", None),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_bad_change_of_one_scope_is_refused_as_the_only_one_of_a_list(
    http: httpx.AsyncClient, method: str, body: bytes, field: str | None
) -> None:
    response = await http.request(method, "/config/trading-engine", content=body)
    assert response.status_code == 400
    assert problem(response)["field"] == field


@pytest.mark.parametrize("path", ["/config/UPPER", "/config/_some", "/config/_all/status", "/config/_all/schema"])
async def test_what_is_no_scope_is_refused(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert response.status_code == 400
    assert problem(response)["field"] == "service"
