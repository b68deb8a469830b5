"""The HTTP face: one table row per route, each a translation of something the hub already says elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.version import __version__


class Vitals(Protocol):
    """What the sidecar asks of the hub."""

    @property
    def alive(self) -> bool:
        """Whether the hub's own loops run."""

    @property
    def ready(self) -> bool:
        """Whether it can answer requests: connected, its catalog complete, not draining."""

    @property
    def registered_services(self) -> int:
        """How many services have instances."""

    def checks(self) -> dict[str, str]:
        """How each dependency is: `healthy`, `degraded`, `unhealthy`, `not_configured` or `not_checked`."""

    def details(self) -> dict[str, Any]:
        """What an operator wants to know besides."""

    def scrape(self) -> tuple[bytes, str]:
        """The metrics as Prometheus reads them, and their content type."""


class Row(NamedTuple):
    """One route."""

    method: str
    path: str
    answer: Callable[[Vitals], Response]


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def root(vitals: Vitals) -> Response:
    """Who this is and where to go on."""
    return _json({"service": "central-hub", "version": __version__, "routes": [f"{r.method} {r.path}" for r in TABLE]})


def health(vitals: Vitals) -> Response:
    """The shape that existing monitors read: 200 for healthy and degraded, 503 for unhealthy."""
    checks = vitals.checks()
    bad = {name for name, state in checks.items() if state in ("unhealthy", "degraded")}
    status = "healthy" if not bad and vitals.ready else "degraded"
    if checks.get("nats") == "unhealthy" or not vitals.alive:
        status = "unhealthy"
    body = {
        "status": status,
        "version": __version__,
        "timestamp": int(time() * 1000),
        "checks": checks,
        "registered_services": vitals.registered_services,
        "details": vitals.details(),
    }
    return _json(body, 503 if status == "unhealthy" else 200)


def livez(vitals: Vitals) -> Response:
    """Whether to leave the process alone (200) or restart it (503)."""
    return _json({"alive": vitals.alive}, 200 if vitals.alive else 503)


def readyz(vitals: Vitals) -> Response:
    """Whether to send requests here."""
    return _json({"ready": vitals.ready}, 200 if vitals.ready else 503)


def metrics(vitals: Vitals) -> Response:
    """For Prometheus."""
    body, content_type = vitals.scrape()
    return Response(body, headers={"content-type": content_type})


TABLE = (
    Row("GET", "/", root),
    Row("GET", "/health", health),
    Row("GET", "/livez", livez),
    Row("GET", "/readyz", readyz),
    Row("GET", "/metrics", metrics),
)


def routes(vitals: Vitals) -> list[Route]:
    """The table as the HTTP server wants it."""

    def endpoint(row: Row) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            return row.answer(vitals)

        return handle

    return [Route(row.path, endpoint(row), methods=[row.method]) for row in TABLE]
