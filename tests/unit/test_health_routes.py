"""What monitors are answered, for every way in which a hub can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest

from hub.sidecar.face import application
from hub.sidecar.feed import Feed
from hub.sidecar.ports import Hub
from hub.sidecar.row import Serving
from hub.sidecar.table import TABLE
from hub.telemetry.meter import ResponseMeter

WELL = {"database": "not_configured", "cache": "not_configured", "kafka": "not_configured"} | dict.fromkeys(
    ("nats", "hub"), "healthy"
)


@dataclass
class Shown:
    """A hub that is as it is said to be."""

    checks_: dict[str, str] = field(default_factory=dict)
    alive: bool = True
    ready: bool = True
    registered_services: int = 3

    def checks(self) -> dict[str, str]:
        return {**WELL, **self.checks_}

    def details(self) -> dict[str, Any]:
        return {}

    def scrape(self) -> tuple[bytes, str]:
        return b"", "text/plain"


@pytest.mark.parametrize(
    ("hub", "status", "answers"),
    [
        (Shown(), "healthy", (200, 200, 200)),
        (Shown({"database": "healthy"}), "healthy", (200, 200, 200)),
        (Shown({"database": "unhealthy"}), "degraded", (200, 200, 200)),
        (Shown({"cache": "unhealthy", "kafka": "unhealthy"}), "degraded", (200, 200, 200)),
        (Shown({"cache": "degraded"}), "degraded", (200, 200, 200)),
        (Shown({"nats": "degraded"}), "degraded", (200, 200, 200)),
        (Shown({"hub": "degraded"}), "degraded", (200, 200, 200)),
        (Shown(ready=False), "degraded", (200, 200, 503)),
        (Shown({"nats": "unhealthy"}, ready=False), "unhealthy", (503, 200, 503)),
        (Shown({"hub": "unhealthy"}, alive=False), "unhealthy", (503, 503, 200)),
    ],
    ids=[
        *("well", "all well", "no database", "no cache, no kafka", "cache slow", "too few replicas"),
        *("task restarted", "starting", "no nats", "task keeps failing"),
    ],
)
async def test_monitors_are_told_what_to_do(hub: Shown, status: str, answers: tuple[int, int, int]) -> None:
    serving = Serving(hub=cast(Hub, hub), feed=cast(Feed, None), table=TABLE)
    transport = httpx.ASGITransport(application(serving, ResponseMeter()))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as http:
        told = await http.get("/health")
        codes = [(await http.get(path)).status_code for path in ("/livez", "/readyz")]
    assert told.json()["status"] == status
    assert (told.status_code, *codes) == answers
