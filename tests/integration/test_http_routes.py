"""Every route of a real hub: what it answers, and how it refuses."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from hub.sidecar.problems import MEDIA_TYPE as PROBLEM
from hub.sidecar.table import TABLE
from hub.wire.codec import MAX_MESSAGE_BYTES
from tests.calls import call, connected_as, ids, refusal, register
from tests.clients import eventually
from tests.contract.golden import EXAMPLES, INVALID, Golden, name_of
from tests.enforcing import HUB
from tests.http import browsing, problem
from tests.hubs import HubProcess

_MESSAGE = {"host": "127.0.0.1", "port": 8000, "liveness": "permanent"}
_SEEN = "/discovery/services/{name}"
GETS = [
    row.path.format(name="some", instance_id="i1", service="some", id="some") for row in TABLE if row.method == "GET"
]
PLAIN = [path for path in GETS if path != "/discovery/watch"]


@pytest.fixture
async def http(hub: HubProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with browsing(hub) as client:
        yield client


async def waits(http: httpx.AsyncClient, number: int) -> bool:
    """Whether so many requests wait for something."""
    return bool((await http.get("/health")).json()["details"]["requests_in_flight"] == number)


# --- what every route does


async def test_the_id_and_the_trace_of_a_request_come_back_and_a_refusal_always_has_an_id(
    hub: HubProcess, http: httpx.AsyncClient
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    asked = await http.get("/discovery/services", headers={"X-Request-Id": "mine-1", "traceparent": trace})
    assert (asked.headers["x-request-id"], asked.headers["traceparent"]) == ("mine-1", trace)
    assert "x-request-id" not in (await http.get("/discovery/services")).headers
    refused = await http.get("/discovery/services/UPPER")
    assert refused.headers["x-request-id"]
    hostile = await http.get("/discovery/services", headers={"X-Request-Id": "x" * 129})
    assert 0 < len(hostile.headers["x-request-id"]) < 129


@pytest.mark.parametrize("path", GETS)
async def test_head_is_answered_as_get_is_without_the_body(http: httpx.AsyncClient, path: str) -> None:
    await http.put("/config/some", json={"values": {}})
    head = await http.head(path)
    assert head.status_code == 200
    assert head.content == b""
    if path in PLAIN:
        got = await http.get(path)
        assert set(got.headers) - {"date"} == set(head.headers) - {"date"}


@pytest.mark.parametrize("path", [*PLAIN, "/nowhere", "/discovery/services/UPPER"])
async def test_every_response_is_kept_by_nobody_and_taken_for_nothing_else(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert "access-control-allow-origin" not in response.headers
    assert "server" not in response.headers


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
async def test_another_method_is_refused_with_those_that_there_are(http: httpx.AsyncClient, row: Any) -> None:
    path = row.path.format(name="some", instance_id="i1", service="some", id="some")
    response = await http.request("OPTIONS", path)
    assert response.status_code == 405
    assert row.method in response.headers["allow"].split(", ")
    assert ("HEAD" in response.headers["allow"]) == ("GET" in response.headers["allow"])
    assert problem(response)["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/health/", "/discovery", "/discovery/services/a/b/c", "/%2e%2e/x", "/\u00e9"]
)
async def test_what_is_not_there_is_a_problem_and_leads_nowhere_else(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert response.status_code == 404
    told = problem(response)
    assert (told["code"], told["retryable"]) == ("not_found", False)


# --- registering, beating, leaving


async def test_an_instance_lives_its_life_over_http(http: httpx.AsyncClient, client: Client) -> None:
    message = {"name": "living", "instance_id": "l1", **_MESSAGE}
    registered = await http.post("/discovery/register", json=message)
    assert registered.status_code == 200
    assert registered.json()["heartbeat_subject"] == "hub.heartbeat.living.l1"
    assert await ids(client, "living") == ["l1"]
    beat = await http.put("/discovery/services/living/l1/heartbeat", json={"status": "warning", "message": "hot"})
    assert (beat.status_code, beat.content) == (204, b"")

    async def is_warned() -> bool:
        found = (await http.get("/discovery/services/living?status=any")).json()["instances"]
        return [instance["status"] for instance in found] == ["warning"]

    await eventually(is_warned, "the beat is heard")
    gone = await http.delete("/discovery/services/living/l1", params={"reason": "over"})
    assert gone.json()["revision"] > registered.json()["revision"]
    assert await ids(client, "living") == []


async def test_a_beat_without_a_body_is_a_beat_that_every_replica_hears(
    hub: HubProcess, http: httpx.AsyncClient, client: Client
) -> None:
    await register(client, "beating", "b1")
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def on_beat(message: Any) -> None:
        heard.set_result(message.data)

    async with connected_as(HUB, hub.nats_url) as ear:
        await ear.subscribe("hub.heartbeat.beating.b1", cb=on_beat)
        await ear.flush()
        assert (await http.put("/discovery/services/beating/b1/heartbeat")).status_code == 204
        assert await asyncio.wait_for(heard, 20) == b""


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("a/unheard-of", b"", 404, "instance_id"),
        ("unheard-of/i1", b"{}", 404, "instance_id"),
        pytest.param(
            "UPPER/i1", b"", 400, "name", marks=pytest.mark.open_only("no login is of a service that is called so")
        ),
        ("some/i%201", b"", 400, "instance_id"),
        ("some/i1", b'{"load":-1}', 400, "load"),
        ("some/i1", b"{", 400, None),
    ],
)
async def test_a_beat_of_nobody_and_a_beat_of_nonsense_are_refused(
    http: httpx.AsyncClient, client: Client, path: str, body: bytes, status: int, field: str | None
) -> None:
    await register(client, "some", "i1")
    response = await http.put(f"/discovery/services/{path}/heartbeat", content=body)
    assert response.status_code == status
    assert problem(response)["field"] == field


async def test_who_is_not_there_cannot_be_taken_out(http: httpx.AsyncClient, client: Client) -> None:
    over_http = problem(await http.delete("/discovery/services/nobody/n1"))
    on_nats = await refusal(client, "hub.deregister", {"name": "nobody", "instance_id": "n1"})
    assert (over_http["detail"], over_http["code"]) == (on_nats["message"], "not_found")


async def test_an_id_of_another_service_is_a_conflict(http: httpx.AsyncClient, client: Client) -> None:
    await register(client, "owner", "owned")
    response = await http.post("/discovery/register", json={"name": "thief", "instance_id": "owned", **_MESSAGE})
    assert response.status_code == 409
    assert problem(response)["field"] == "instance_id"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonish", "image/+json"]
)
async def test_a_body_that_says_it_is_something_else_is_not_looked_at(http: httpx.AsyncClient, kind: str) -> None:
    response = await http.post("/discovery/register", content=b"{}", headers={"content-type": kind})
    assert response.status_code == 415
    assert kind in problem(response)["detail"]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/cloudevents+json", ""]
)
async def test_a_body_of_json_or_of_no_type_is_read(http: httpx.AsyncClient, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    response = await http.post("/discovery/register", content=b"{}", headers=headers)
    assert response.status_code == 400
    assert problem(response)["field"] == "name"


async def test_a_body_has_the_bound_that_a_message_has(http: httpx.AsyncClient, client: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"name":"'
        for _ in range(MAX_MESSAGE_BYTES // 1024):
            yield b"x" * 1024

    large = b'{"name":"' + b"x" * MAX_MESSAGE_BYTES + b'"}'
    announced = await http.post("/discovery/register", content=large)
    streamed = await http.post("/discovery/register", content=pieces())
    on_nats = await refusal(client, "hub.register", large)
    assert announced.status_code == streamed.status_code == on_nats["status"] == 413
    assert problem(announced)["detail"] == on_nats["message"]
    assert problem(streamed)["code"] == on_nats["code"] == "payload_too_large"
    just = b'{"name":"just-right","host":"h","port":1,"liveness":"permanent","metadata":{"a":"%b"}}'
    just %= b"x" * (MAX_MESSAGE_BYTES - len(just) + 2)
    assert len(just) == MAX_MESSAGE_BYTES
    assert (await http.post("/discovery/register", content=just)).status_code == 200


# --- the same words


@pytest.mark.parametrize("golden", [each for each in INVALID if each.message == "register"], ids=name_of)
async def test_a_bad_registration_is_refused_in_the_words_of_nats(
    http: httpx.AsyncClient, client: Client, golden: Golden
) -> None:
    message = golden.content["message"]
    on_nats = await refusal(client, "hub.register", message)
    told = problem(await http.post("/discovery/register", json=message))
    assert (told["detail"], told["field"], told["code"], told["status"], told["retryable"]) == (
        on_nats["message"],
        on_nats["field"],
        on_nats["code"],
        on_nats["status"],
        on_nats["retryable"],
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=-1", {"limit": -1}),
        ("limit=many", {"limit": "many"}),
        ("limit=1.5", {"limit": 1.5}),
        ("wait=61", {"wait": 61}),
        ("wait=", {"wait": ""}),
        ("min_revision=x", {"min_revision": "x"}),
        ("strategy=best", {"strategy": "best"}),
        ("status=fine", {"status": "fine"}),
        ("version=one", {"version": "one"}),
        (f"tags={'x' * 65}", {"tags": ["x" * 65]}),
        ("capabilities=" + ",".join("abcdefghijklmnopq"), {"capabilities": list("abcdefghijklmnopq")}),
    ],
)
async def test_a_bad_filter_is_refused_in_the_words_of_nats(
    http: httpx.AsyncClient, client: Client, query: str, message: dict[str, Any]
) -> None:
    on_nats = await refusal(client, "hub.discover", {"name": "some", **message})
    told = problem(await http.get(f"/discovery/services/some?{query}"))
    assert (told["detail"], told["field"], told["status"]) == (on_nats["message"], on_nats["field"], 400)


# --- discovering


async def test_what_http_answers_is_what_nats_answers(http: httpx.AsyncClient, client: Client) -> None:
    full = json.loads((EXAMPLES / "register.full.json").read_text())
    for number, zone in enumerate(["eu", "eu", "us"]):
        await call(
            client,
            "hub.register",
            {
                **full,
                "name": "filtered",
                "instance_id": f"f{number}",
                "zone": zone,
                "port": number + 1,
                "liveness": "permanent",
                "checks": [],
                "tags": ["even" if number % 2 == 0 else "odd", "all"],
            },
        )
    for query, message in (
        ("", {}),
        ("zone=eu", {"zone": "eu"}),
        ("tags=even,all", {"tags": ["even", "all"]}),
        ("tags=even&tags=all&limit=1", {"tags": ["even", "all"], "limit": 1}),
        ("status=critical", {"status": "critical"}),
        ("strategy=nearest&zone=us", {"strategy": "nearest", "zone": "us"}),
        ("version=%3E%3D1.0", {"version": ">=1.0"}),
        ("after=f0", {"after": "f0"}),
    ):
        expected = await call(client, "hub.discover", {"name": "filtered", **message})
        response = await http.get(f"/discovery/services/filtered?{query}")
        assert response.json() == expected, query
        assert response.headers["hub-revision"] == str(expected["revision"])
    assert (await http.get("/discovery/services/unheard-of")).json()["instances"] == []


async def test_pages_are_linked(http: httpx.AsyncClient, client: Client) -> None:
    for number in range(5):
        await register(client, "paged", f"p{number}", port=number + 1, tags=["a b"])
    seen: list[str] = []
    path = "/discovery/services/paged?limit=2&tags=a%20b&wait=0&min_revision=1"
    for _ in range(5):
        response = await http.get(path)
        seen += [instance["instance_id"] for instance in response.json()["instances"]]
        following = response.links.get("next")
        if following is None:
            break
        path = following["url"]
    assert seen == [f"p{number}" for number in range(5)]
    assert "link" not in response.headers
    await register(client, "paged-too")
    assert "link" in (await http.get("/discovery/services?limit=1")).headers


async def test_who_has_it_already_is_not_sent_it_again(http: httpx.AsyncClient, client: Client) -> None:
    await register(client, "tagged", "t1")
    first = await http.get("/discovery/services/tagged")
    tag = first.headers["etag"]
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await http.get("/discovery/services/tagged", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["hub-revision"] == first.headers["hub-revision"]
    await register(client, "tagged", "t2", port=9)
    changed = await http.get("/discovery/services/tagged", headers={"if-none-match": tag})
    assert (changed.status_code, changed.headers["etag"] == tag) == (200, False)


async def test_a_blocking_query_sleeps_until_the_revision_is_reached(http: httpx.AsyncClient, client: Client) -> None:
    known = (await register(client, "awaited", "w1"))["revision"]
    query = {"min_revision": str(known + 1), "wait": "30"}
    waiting = asyncio.create_task(http.get("/discovery/services/awaited", params=query))
    await eventually(lambda: waits(http, 1), "it waits")
    await register(client, "elsewhere")
    assert not waiting.done()
    await register(client, "awaited", "w2", port=9)
    answer = (await waiting).json()
    assert [instance["instance_id"] for instance in answer["instances"]] == ["w1", "w2"]
    assert answer["revision"] > known


async def test_a_blocking_query_that_waited_for_nothing_says_so(http: httpx.AsyncClient, client: Client) -> None:
    known = (await register(client, "quiet"))["revision"]
    first = await http.get("/discovery/services/quiet")
    began = time.monotonic()
    headers = {"if-none-match": first.headers["etag"]}
    again = await http.get(f"/discovery/services/quiet?wait=0.3&min_revision={known + 1000}", headers=headers)
    assert again.status_code == 304
    assert time.monotonic() - began >= 0.3


async def test_who_hangs_up_while_it_waits_frees_its_place_at_once(hub: HubProcess, http: httpx.AsyncClient) -> None:
    async with browsing(hub) as leaving:
        query = "/discovery/services/never?wait=60&min_revision=1000000"
        waiting = [asyncio.create_task(leaving.get(query)) for _ in range(20)]
        await eventually(lambda: waits(http, 20), "all of them wait")
        for task in waiting:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    await eventually(lambda: waits(http, 0), "nobody waits", within=20)


# --- lists and vitals


async def test_the_services_are_listed_with_their_health_and_that_of_the_hub(
    http: httpx.AsyncClient, client: Client
) -> None:
    await register(client, "listed")
    listed = await call(client, "hub.services")
    assert (await http.get("/discovery/services")).json() == listed
    health = (await http.get("/discovery/health")).json()
    told = await call(client, "hub.health")
    assert {**told, "status": "healthy", "checks": health["checks"]} == health
    assert health["checks"]["nats"] == "healthy"
    page = await http.get("/discovery/health", params={"limit": 1, "after": "listec"})
    assert [row["service"] for row in page.json()["services"]] == ["listed"]
    assert problem(await http.get("/discovery/health?limit=x"))["field"] == "limit"


async def test_the_root_lists_the_routes(http: httpx.AsyncClient) -> None:
    told = (await http.get("/")).json()
    assert told["routes"] == [f"{row.method} {row.path}" for row in TABLE]
    for link in (told["docs"], told["openapi"]):
        assert (await http.get(link)).status_code == 200


async def test_responses_are_counted_by_route_and_never_by_what_was_asked_for(http: httpx.AsyncClient) -> None:
    for path in ("/discovery/services/counted-one", "/discovery/services/UPPER", "/secret-path"):
        await http.get(path)
    text = (await http.get("/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("hub_http_responses_total{")]
    for route, status in (("/discovery/services/{name}", 200), ("/discovery/services/{name}", 400), ("other", 404)):
        assert any(f'route="{route}",status="{status}"' in line for line in lines), (route, status)
    assert "secret-path" not in text
    assert "counted-one" not in text


async def test_what_is_asked_over_http_is_counted_with_what_is_asked_on_nats(
    http: httpx.AsyncClient, client: Client
) -> None:
    async def counted(outcome: str) -> float:
        text = (await http.get("/metrics")).text
        found = re.search(
            rf'^hub_requests_total{{outcome="{outcome}",subject="hub.discover"}} (\S+)$', text, re.MULTILINE
        )
        return float(found[1]) if found else 0.0

    for outcome, path in (("ok", "some"), ("invalid_request", "UPPER")):
        before = await counted(outcome)
        await http.get(f"/discovery/services/{path}")
        assert await counted(outcome) == before + 1


async def test_a_request_that_is_no_http_is_told_so(hub: HubProcess) -> None:
    host, _, port = hub.http_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    answer = (await asyncio.wait_for(reader.read(), 20)).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert PROBLEM in answer
    assert json.loads(answer.partition("\r\n\r\n")[2])["code"] == "invalid_request"
