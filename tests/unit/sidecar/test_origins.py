"""CORS: nobody's pages may read anything, unless their origin is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from hub.errors import SettingsError
from hub.settings import load
from hub.settings.model import Http
from hub.sidecar.face import application
from hub.sidecar.origins import Origins
from hub.sidecar.replies import respond, tagged
from hub.sidecar.row import Row, Serving
from hub.telemetry.meter import ResponseMeter
from hub.wire.registration import Register
from tests.unit.sidecar.proving import ProvingHub, bearer, proof

APP = "https://app.example"
OTHER = "https://other.example"


async def well(serving: Serving, row: Row, request: Request) -> Response:
    return tagged(request, respond(b"{}"))


def row(method: Any, path: str, **more: Any) -> Row:
    return Row(method=method, path=path, audience="tests", answers="something", handle=well, **more)


TABLE = (
    row("GET", "/several", conditional=True),
    row("PUT", "/several", body=Register),
    row("DELETE", "/one/{name}"),
)


@asynccontextmanager
async def serving(origins: tuple[str, ...] = (), *, credentials: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    settings = Http(cors_origins=origins, cors_credentials=credentials)
    given = Serving(hub=None, feed=None, table=TABLE)  # type: ignore[arg-type]  # none of the rows asks them
    face = application(given, ResponseMeter(), Origins.of(settings))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(face), base_url="http://hub") as client:
        yield client


def of_cors(response: httpx.Response) -> dict[str, str]:
    return {
        name.removeprefix("access-control-"): value
        for name, value in response.headers.items()
        if name.startswith("access-control-")
    }


def asking(origin: str, method: str = "PUT") -> dict[str, str]:
    """The headers of a preflight."""
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "content-type",
    }


async def test_by_default_nobody_is_allowed_anything() -> None:
    async with serving() as http:
        for origin in (APP, "null", "http://hub", "http://127.0.0.1:7000"):
            assert not of_cors(await http.get("/several", headers={"origin": origin}))
            preflight = await http.options("/several", headers=asking(origin))
            assert preflight.status_code == 405
            assert not of_cors(preflight)
            assert "vary" not in preflight.headers


async def test_an_origin_that_is_named_may_read_and_no_other() -> None:
    async with serving((APP, "http://localhost:3000")) as http:
        allowed = await http.get("/several", headers={"origin": APP})
        assert of_cors(allowed)["allow-origin"] == APP
        assert "allow-credentials" not in of_cors(allowed)
        assert {"etag", "link", "hub-revision"} <= set(of_cors(allowed)["expose-headers"].split(", "))
        assert allowed.headers["vary"] == "origin"
        for origin in (OTHER, "null", APP + ":8443", APP.upper(), APP + ".evil.example", "http://app.example", ""):
            refused = await http.get("/several", headers={"origin": origin})
            assert refused.status_code == 200
            assert not of_cors(refused), origin
            assert refused.headers["vary"] == "origin"
        without = await http.get("/several")
        assert not of_cors(without)
        assert without.headers["vary"] == "origin"


async def test_a_preflight_is_told_the_methods_and_headers_of_the_routes_there() -> None:
    async with serving((APP,)) as http:
        told = await http.options("/several", headers=asking(APP))
        assert (told.status_code, told.content) == (204, b"")
        assert of_cors(told)["allow-methods"] == "GET, PUT"
        headers = set(of_cors(told)["allow-headers"].split(", "))
        assert headers == {"content-type", "if-none-match", "traceparent", "tracestate", "x-request-id"}
        assert of_cors(told)["allow-origin"] == APP
        assert int(of_cors(told)["max-age"]) > 0
        other = of_cors(await http.options("/one/some", headers=asking(APP, "DELETE")))
        assert other["allow-methods"] == "DELETE"
        assert "content-type" not in other["allow-headers"]


async def test_a_preflight_of_another_origin_or_none_at_all_is_refused_as_ever() -> None:
    async with serving((APP,)) as http:
        for headers in (asking(OTHER), {"origin": APP}, {}):
            assert (await http.options("/several", headers=headers)).status_code == 405
        assert not of_cors(await http.options("/several", headers=asking(OTHER)))
        assert (await http.options("/nothing", headers=asking(APP))).status_code == 404


async def test_a_page_may_send_a_login_of_its_own_where_one_is_asked_for_and_its_preflight_needs_none() -> None:
    hub = ProvingHub()
    async with hub.browsing(cors_origins=(APP,)) as http:
        told = await http.options("/discovery/services", headers=asking(APP, "GET"))
        assert told.status_code == 204
        assert {"authorization", "x-api-key"} <= set(of_cors(told)["allow-headers"].split(", "))
        refused = await http.get("/discovery/services", headers={"origin": APP})
        assert (refused.status_code, of_cors(refused)["allow-origin"]) == (401, APP)
        answered = await http.get("/discovery/services", headers={"origin": APP, **bearer("reader")})
        assert (answered.status_code, of_cors(answered)["allow-origin"]) == (200, APP)
        assert (await http.options("/discovery/services", headers=asking(OTHER, "GET"))).status_code == 405
    async with serving((APP,)) as http:
        told = await http.options("/several", headers=asking(APP))
        assert "authorization" not in of_cors(told)["allow-headers"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": OTHER},
        {"origin": "null"},
        {"origin": OTHER, "sec-fetch-site": "cross-site"},
        {"origin": "http://hub.evil.example", "sec-fetch-site": "same-site"},
    ],
)
async def test_a_page_of_strangers_cannot_have_its_browser_change_anything(headers: dict[str, str]) -> None:
    async with serving((APP,)) as http:
        for method, path in (("PUT", "/several"), ("DELETE", "/one/some")):
            refused = await http.request(method, path, headers=headers)
            assert (refused.status_code, refused.json()["field"]) == (403, "origin")
        assert (await http.get("/several", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": APP},
        {"origin": "http://hub"},
        {"origin": "https://hub"},
        {"origin": "https://in.front.example", "sec-fetch-site": "same-origin"},
        {"origin": OTHER, "authorization": "Bearer some"},
        {"origin": OTHER, "x-api-key": "some"},
    ],
)
async def test_what_is_no_page_or_one_of_ours_or_has_a_login_of_its_own_may_change_things(
    headers: dict[str, str],
) -> None:
    async with serving((APP,)) as http:
        assert (await http.put("/several", headers=headers)).status_code == 200


async def test_a_certificate_of_a_browser_is_not_lent_to_pages_of_strangers() -> None:
    hub = ProvingHub()
    hub.known.proofs["PEM"] = proof("operator")
    async with hub.browsing(certificate="PEM") as http:
        change = await http.post("/config/reload", headers={"origin": OTHER, "sec-fetch-site": "cross-site"})
        assert change.status_code == 403
        assert not hub.asked
        assert (await http.post("/config/reload")).status_code == 200


async def test_refusals_and_what_is_not_modified_may_be_read_too() -> None:
    async with serving((APP,)) as http:
        for response in (
            await http.get("/nothing", headers={"origin": APP}),
            await http.post("/several", headers={"origin": APP}),
            await http.get("/several", headers={"origin": APP, "if-none-match": "*"}),
        ):
            assert of_cors(response)["allow-origin"] == APP, response.status_code


async def test_all_origins_may_be_allowed_without_credentials() -> None:
    async with serving(("*",)) as http:
        response = await http.get("/several", headers={"origin": OTHER})
        assert of_cors(response)["allow-origin"] == "*"
        assert "allow-credentials" not in of_cors(response)
        assert "vary" not in response.headers


async def test_credentials_are_allowed_to_named_origins_alone_where_it_is_set() -> None:
    async with serving((APP,), credentials=True) as http:
        assert of_cors(await http.get("/several", headers={"origin": APP}))["allow-credentials"] == "true"
        assert of_cors(await http.options("/several", headers=asking(APP)))["allow-credentials"] == "true"
        assert not of_cors(await http.get("/several", headers={"origin": OTHER}))


@pytest.mark.parametrize(
    "origin",
    [
        "app.example",
        "https://app.example/",
        "https://app.example/path",
        "https://App.example",
        "https://app.example:443",
        "http://app.example:80",
        "https://app.example:0",
        "https://app.example:70000",
        "https://*.example",
        "https://user:word@app.example",
        "ftp://app.example",
        "null",
    ],
)
def test_an_entry_that_no_browser_would_send_is_an_error_at_the_start(origin: str) -> None:
    with pytest.raises(SettingsError, match=r"http.cors_origins: expected .* origins as browsers send them") as caught:
        load(None, {"HUB_HTTP_CORS_ORIGINS": f"https://well.example,{origin}"})
    assert "word" not in caught.value.message


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://a-b.example", "http://[::1]:8080", "*"])
def test_an_entry_that_a_browser_sends_is_taken(origin: str) -> None:
    assert load(None, {"HUB_HTTP_CORS_ORIGINS": origin}).http.cors_origins == (origin,)


def test_all_origins_with_credentials_are_an_error_at_the_start() -> None:
    with pytest.raises(SettingsError, match=r"http.cors_credentials: expected false"):
        load(None, {"HUB_HTTP_CORS_ORIGINS": "*", "HUB_HTTP_CORS_CREDENTIALS": "true"})
