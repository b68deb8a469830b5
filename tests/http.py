"""Speaking HTTP to a hub in tests, down to the bytes, and reading server-sent events."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import httpx

from tests import enforcing
from tests.hubs import HubProcess

TIMEOUT = 20.0
_BEAT = re.compile(r"/discovery/services/([^/]+)/[^/]+/heartbeat")


def address(hub: HubProcess) -> tuple[str, int]:
    """Host and port of its HTTP face."""
    parts = urlsplit(hub.http_url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@asynccontextmanager
async def browsing(hub: HubProcess) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client for that hub; of an operator where it is enforced."""
    acting = _Acting() if enforcing.is_enforced(hub.http_url) else None
    async with httpx.AsyncClient(base_url=hub.http_url, timeout=TIMEOUT, auth=acting) as http:
        yield http


class _Acting(httpx.Auth):
    """Comes as an operator; a beat, which only services may send, as the service that it is of."""

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        """Logs in, unless the request does so itself."""
        if "authorization" not in request.headers:
            found = _BEAT.fullmatch(request.url.path)
            request.headers["authorization"] = f"Bearer {enforcing.token_of(found[1]) if found else enforcing.token()}"
        yield request


def problem(response: httpx.Response) -> dict[str, Any]:
    """The problem document of a refusal, checked against the response that it came with."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    told: dict[str, Any] = response.json()
    assert told["type"] == f"urn:central-hub:error:{told['code']}"
    assert told["status"] == response.status_code
    assert told["title"]
    assert told["detail"]
    assert told["instance"] == response.request.url.raw_path.decode().partition("?")[0]
    return told


class Event(NamedTuple):
    """One server-sent event."""

    kind: str
    id: int
    data: Any


class Events:
    """The events of one watcher, as they come."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> Event:
        """The next event; comments are passed over."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                told = await self._block()
                if "event" in told:
                    return Event(told["event"], int(told["id"]), json.loads(told["data"]))

    async def snapshot(self) -> dict[str, Any]:
        """The instances of a snapshot, by their keys."""
        began = await self.next()
        assert began.kind == "reset"
        found: dict[str, Any] = {}
        while (event := await self.next()).kind != "synced":
            assert event.kind == "put"
            found[f"{event.data['name']}.{event.data['instance_id']}"] = event.data
        return found

    async def _block(self) -> dict[str, str]:
        told: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                return told
            name, _, value = line.partition(":")
            if name:
                told[name] = value.strip()
        raise ConnectionError("the hub ended the stream")


@asynccontextmanager
async def watching(http: httpx.AsyncClient, query: str = "", **headers: str) -> AsyncIterator[Events]:
    """A watcher."""
    async with http.stream("GET", f"/discovery/watch{query}", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream"
        yield Events(response)


def fetched(hub: HubProcess, path: str) -> str:
    """What a GET of a path has for an operator, for tests that do not run on a loop."""
    request = Request(f"{hub.http_url}{path}", headers=enforcing.headers(hub.http_url))
    with urlopen(request, timeout=TIMEOUT) as response:
        return str(response.read().decode())
