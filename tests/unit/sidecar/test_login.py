"""Who asks over HTTP is proven before anything is read or answered, and for as long as it is answered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from hub.errors import RateLimited, Unavailable
from hub.identity.proof import Proof
from hub.settings.access import Allow
from hub.sidecar import login as module
from hub.sidecar.credentials import LARGEST
from hub.sidecar.login import Login
from hub.sidecar.row import Row
from hub.sidecar.table import TABLE
from hub.wire.roles import CALLER_ROLES, RIGHTS
from tests.http import problem
from tests.unit.sidecar.proving import CHECKS, DETAILS, ProvingHub, bearer, channel_of, proof
from tests.waiting import end, until

PLACES = {"name": "some", "instance_id": "i1", "service": "some", "id": "some"}
BODY = {"name": "some", "host": "127.0.0.1", "port": 8000}
EVERYTHING = Allow(who=("*",), discover=("*",), config=("*",))
each_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")


@pytest.fixture
def hub() -> ProvingHub:
    return ProvingHub()


async def asked(http: httpx.AsyncClient, row: Row, headers: dict[str, str] | None = None) -> httpx.Response:
    """What is answered to a request for a row, of a stream the beginning: HEAD goes where GET goes."""
    method = "HEAD" if row.events else row.method
    body = BODY if row.body is not None else None
    return await http.request(method, row.path.format(**PLACES), headers=headers or {}, json=body)


# --- every route


@each_row
async def test_a_stranger_is_told_nothing_but_what_is_public(hub: ProvingHub, row: Row) -> None:
    async with hub.browsing() as http:
        response = await asked(http, row)
    if row.login in ("none", "welcome"):
        assert response.status_code == 200
    else:
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Bearer realm="central-hub"'
    assert not hub.asked
    assert not hub.known.presented
    for secret in (*CHECKS, *DETAILS, *DETAILS.values()):
        assert row.path in ("/openapi.json", "/docs") or secret not in response.text


@each_row
async def test_a_role_may_ask_over_http_what_it_may_ask_on_nats_and_no_more(row: Row) -> None:
    hub, rules = ProvingHub(EVERYTHING), row.channel or row.like
    async with hub.browsing() as http:
        for role in CALLER_ROLES:
            hub.asked.clear()
            response = await asked(http, row, bearer(role))
            may = rules is None or role in rules.publishers
            assert response.status_code == (row.status if may else 403), (role, response.text)
            assert [who for who, _ in hub.asked] == ([f"{role}:some"] if may and rules is not None else [])
            if row.channel is not None and hub.asked:
                assert channel_of(hub.asked[0][1]) is row.channel


@each_row
async def test_a_login_that_is_good_for_something_else_is_not_good_for_a_route(row: Row) -> None:
    hub, rules = ProvingHub(EVERYTHING), row.channel or row.like
    if rules is None:
        return
    role: Any = next(role for role in CALLER_ROLES if role in rules.publishers)
    hub.known.proofs["good"] = proof(role, scopes=(rules.right,))
    hub.known.proofs["other"] = proof(role, scopes=tuple(right for right in RIGHTS if right != rules.right))
    async with hub.browsing() as http:
        assert (await asked(http, row, bearer("good"))).status_code == row.status
        hub.asked.clear()
        response = await asked(http, row, bearer("other"))
    assert response.status_code == 403
    assert row.events or f"good for {rules.right}" in problem(response)["detail"]
    assert not hub.asked


async def test_a_service_speaks_for_itself_alone_and_sees_what_it_is_allowed() -> None:
    hub = ProvingHub(Allow(who=("service:some",), discover=("friend-*",)))
    elsewhere = {"name": "other", "host": "127.0.0.1", "port": 1}
    async with hub.browsing() as http:
        http.headers.update(bearer("service"))
        for refused in (
            await http.post("/discovery/register", json=elsewhere),
            await http.put("/discovery/services/other/i1/heartbeat"),
            await http.delete("/discovery/services/other/i1"),
            await http.put("/config/other/schema", json={"schema": {}}),
            await http.get("/discovery/services/stranger"),
            await http.get("/config/other"),
            await http.head("/discovery/watch"),
            await http.head("/discovery/watch?name=friend-a,stranger"),
        ):
            assert refused.status_code == 403, refused.request.url
        assert not {subject for _, subject in hub.asked} - {"hub.discover"}
        for answered in (
            await http.post("/discovery/register", json=BODY),
            await http.put("/discovery/services/some/i1/heartbeat"),
            await http.get("/discovery/services/friend-a"),
            await http.head("/discovery/watch?name=friend-a,friend-b"),
            await http.get("/config/some"),
        ):
            assert answered.is_success, answered.text


def test_what_is_for_operators_is_for_nobody_else() -> None:
    for row in TABLE:
        if row.audience == "operators":
            assert row.channel is not None
            assert set(row.channel.publishers) <= {"operator", "reader"}, row.path
            assert row.method == "GET" or row.channel.publishers == ("operator",), row.path


def test_what_is_public_is_what_says_nothing_of_this_hub_but_how_it_is() -> None:
    public = {row.path for row in TABLE if row.login in ("none", "welcome")}
    assert public == {"/", "/health", "/livez", "/readyz", "/openapi.json", "/docs"}


async def test_a_path_or_method_that_is_not_there_is_told_to_anybody(hub: ProvingHub) -> None:
    async with hub.browsing() as http:
        assert (await http.get("/nothing")).status_code == 404
        assert (await http.post("/livez")).status_code == 405


# --- what is presented


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer reader"},
        {"authorization": "bearer reader"},
        {"authorization": "BEARER   reader "},
        {"X-API-Key": "reader"},
    ],
)
async def test_a_token_or_a_key_may_come_in_its_header(hub: ProvingHub, headers: dict[str, str]) -> None:
    async with hub.browsing("10.0.0.7") as http:
        assert (await http.get("/discovery/services", headers=headers)).status_code == 200
    [presented] = hub.known.presented
    assert (presented.via, presented.token, presented.host) == ("http", "reader", "10.0.0.7")
    assert (presented.nkey, presented.certificate) == (None, None)


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Bearer reader"), ("x-api-key", "reader")],
        [("authorization", "Bearer reader"), ("authorization", "Bearer operator")],
        [("x-api-key", "reader"), ("x-api-key", "operator")],
        [("authorization", "Bearer"), ("x-api-key", "")],
    ],
)
async def test_two_credentials_in_one_request_are_refused_unseen(
    hub: ProvingHub, headers: list[tuple[str, str]]
) -> None:
    async with hub.browsing() as http:
        response = await http.get("/discovery/services", headers=headers)
    assert (response.status_code, problem(response)["code"]) == (400, "invalid_request")
    assert not hub.known.presented
    assert "operator" not in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Basic cmVhZGVyOg=="},
        {"authorization": "reader"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer two words"},
        {"authorization": "Bearer reader, Bearer operator"},
        {"authorization": b"Bearer \xc3\xa4"},
        {"x-api-key": ""},
        {"x-api-key": "a" * (LARGEST + 1)},
    ],
)
async def test_what_cannot_be_a_credential_is_refused_unseen(hub: ProvingHub, headers: dict[str, Any]) -> None:
    async with hub.browsing() as http:
        response = await http.get("/discovery/services", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="central-hub", error="invalid_token"'
    assert not hub.known.presented


async def test_a_credential_in_the_query_or_in_a_cookie_is_none(hub: ProvingHub) -> None:
    async with hub.browsing() as http:
        for given in ({"params": {"access_token": "reader"}}, {"headers": {"cookie": "token=reader"}}):
            response = await http.get("/discovery/services", **given)  # type: ignore[arg-type]
            assert response.status_code == 401


async def test_all_who_prove_nothing_are_told_the_same(hub: ProvingHub) -> None:
    hub.known.proofs["expired"] = proof("reader", expires=1.0)
    hub.known.proofs["revoked"] = Proof(caller=proof("reader").caller, credential="key:old")
    hub.revoked.add("key:old")
    async with hub.browsing() as http:
        answers = [
            await http.get("/discovery/services", headers=bearer(token)) for token in ("expired", "revoked", "wrong")
        ]
        none = await http.get("/discovery/services")
    assert {answer.status_code for answer in (*answers, none)} == {401}
    assert len({answer.content for answer in (*answers, none)}) == 1
    assert problem(none)["code"] == "unauthenticated"
    assert "too much" not in none.text
    assert {answer.headers["www-authenticate"] for answer in answers} == {
        'Bearer realm="central-hub", error="invalid_token"'
    }


async def test_who_guesses_too_often_is_told_when_to_come_back_and_who_cannot_be_told_now_to_try_again(
    hub: ProvingHub,
) -> None:
    async with hub.browsing() as http:
        hub.known.trouble = RateLimited("login: too many from there have failed", retry_after=6.2)
        late = await http.get("/discovery/services", headers=bearer("reader"))
        hub.known.trouble = Unavailable("the keys of https://issuer.internal cannot be had")
        away = await http.get("/discovery/services", headers=bearer("reader"))
    assert (late.status_code, late.headers["retry-after"]) == (429, "7")
    assert (away.status_code, problem(away)["retryable"]) == (503, True)
    assert "issuer" not in away.text


# --- what is remembered


async def test_a_proof_is_remembered_for_a_moment_by_who_has_it_where_it_came_from(hub: ProvingHub) -> None:
    now = [0.0]
    login = Login(hub.authenticate, hub.holds, now=lambda: now[0])
    request = make_request("10.0.0.7")
    for _ in range(3):
        await login.proof_of(request, "needed")
    assert hub.known.asked["reader"] == 1
    await login.proof_of(make_request("10.0.0.8"), "needed")
    assert hub.known.asked["reader"] == 2
    now[0] += module.REMEMBERED
    await login.proof_of(request, "needed")
    assert hub.known.asked["reader"] == 3


async def test_what_is_remembered_is_bounded_and_never_the_credential(
    hub: ProvingHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    login = Login(hub.authenticate, hub.holds)
    for number in range(10):
        await login.proof_of(make_request(f"10.0.0.{number}"), "needed")
    assert len(login) == 3
    assert "Bearer" not in repr(vars(login))
    assert not any(b"reader" in key for key, _ in vars(login)["_proven"])


async def test_a_failure_is_never_remembered(hub: ProvingHub) -> None:
    async with hub.browsing() as http:
        for _ in range(3):
            assert (await http.get("/discovery/services", headers=bearer("wrong"))).status_code == 401
    assert hub.known.asked["wrong"] == 3


async def test_a_revoked_credential_is_refused_at_once_though_it_was_remembered(hub: ProvingHub) -> None:
    async with hub.browsing() as http:
        assert (await http.get("/discovery/services", headers=bearer("reader"))).status_code == 200
        hub.revoked.add("key:reader")
        assert (await http.get("/discovery/services", headers=bearer("reader"))).status_code == 401
        assert (await http.get("/discovery/services", headers=bearer("operator"))).status_code == 200


async def test_who_is_revoked_while_he_waits_is_not_told_what_came(
    hub: ProvingHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answered_late(subject: str, payload: bytes) -> bytes:
        hub.revoked.add("key:reader")
        return b'{"news":1}'

    monkeypatch.setattr(hub, "ask", answered_late)
    async with hub.browsing() as http:
        response = await http.get("/discovery/services/some?wait=1", headers=bearer("reader"))
    assert response.status_code == 401
    assert "news" not in response.text


# --- watching


async def test_who_watches_some_services_must_be_one_who_may_discover_each(hub: ProvingHub) -> None:
    async with hub.browsing() as http:
        await http.head("/discovery/watch?name=one,two", headers=bearer("reader"))
        await http.head("/discovery/watch", headers=bearer("reader"))
    assert hub.asked == [
        ("reader:some", "hub.discover"),
        ("reader:some", "hub.discover"),
        ("reader:some", "hub.services"),
    ]


async def test_what_a_caller_listens_to_ends_when_its_proof_does(
    hub: ProvingHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    login = Login(hub.authenticate, hub.holds)
    ended: list[str] = []
    soon = proof("external", expires=datetime.now(UTC).timestamp() + 0.2)
    minding = asyncio.create_task(login.mind())
    with (
        login.listening(proof("reader"), lambda: ended.append("revoked")),
        login.listening(proof("operator"), lambda: ended.append("good")),
        login.listening(soon, lambda: ended.append("expired")),
    ):
        hub.revoked.add("key:reader")
        await until(lambda: {"revoked", "expired"} <= set(ended))
    await end(minding)
    assert "good" not in ended


def make_request(host: str) -> Request:
    headers = [(b"authorization", b"Bearer reader")]
    return Request({"type": "http", "headers": headers, "client": (host, 1)})
