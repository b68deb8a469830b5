"""Speaking HTTP to a hub in tests, down to the bytes, and reading server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from tests.hubs import HubProcess

TIMEOUT = 20.0


def address(hub: HubProcess) -> tuple[str, int]:
    """Host and port of its HTTP face."""
    parts = urlsplit(hub.http_url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@asynccontextmanager
async def browsing(hub: HubProcess) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client for that hub."""
    async with httpx.AsyncClient(base_url=hub.http_url, timeout=TIMEOUT) as http:
        yield http


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
