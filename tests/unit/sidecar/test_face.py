"""What answers requests survives them: a fault of the hub is a problem document, a line in the log, and a count."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import Response

from hub.errors import Overloaded
from hub.sidecar.face import application
from hub.sidecar.replies import respond
from hub.sidecar.row import Row, Serving
from hub.telemetry.meter import ResponseMeter


async def broken(serving: Serving, row: Row, request: Request) -> Response:
    raise ZeroDivisionError("secret")


async def full(serving: Serving, row: Row, request: Request) -> Response:
    raise Overloaded("hub: 1 requests are in flight already; try again in a moment")


async def well(serving: Serving, row: Row, request: Request) -> Response:
    return respond(b"{}")


def row(method: Any, path: str, handle: Any) -> Row:
    return Row(method=method, path=path, audience="tests", answers="something", handle=handle)


TABLE = (
    row("GET", "/broken", broken),
    row("GET", "/full", full),
    row("GET", "/several", well),
    row("PUT", "/several", well),
)


@pytest.fixture
def meter() -> ResponseMeter:
    return ResponseMeter()


@pytest.fixture
async def http(meter: ResponseMeter) -> AsyncIterator[httpx.AsyncClient]:
    serving = Serving(hub=None, feed=None, table=TABLE)  # type: ignore[arg-type]  # none of the rows asks them
    transport = httpx.ASGITransport(application(serving, meter), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        yield client


async def test_a_fault_of_the_hub_is_told_as_one_and_gives_nothing_away(
    http: httpx.AsyncClient, meter: ResponseMeter
) -> None:
    with structlog.testing.capture_logs() as logged:
        response = await http.get("/broken")
    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert "secret" not in response.text
    assert [(line["log_level"], line["route"]) for line in logged] == [("error", "/broken")]
    assert isinstance(logged[0]["exc_info"], ZeroDivisionError)
    assert meter.counts["/broken", 500] == 1


async def test_who_is_refused_for_want_of_room_is_told_when_to_come_back(http: httpx.AsyncClient) -> None:
    response = await http.get("/full")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["retryable"] is True


async def test_a_path_with_several_methods_allows_all_of_them(http: httpx.AsyncClient, meter: ResponseMeter) -> None:
    for method in ("GET", "HEAD", "PUT"):
        assert (await http.request(method, "/several")).status_code == 200
    refused = await http.post("/several")
    assert sorted(refused.headers["allow"].split(", ")) == ["GET", "HEAD", "PUT"]
    assert meter.counts["/several", 200] == 3
    assert meter.counts["/several", 405] == 1
