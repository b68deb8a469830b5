"""How the hub is, as monitors, orchestrators and Prometheus ask for it."""

from __future__ import annotations

from time import time
from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from hub.identity.proof import Proof
from hub.sidecar.ports import Hub
from hub.sidecar.replies import respond
from hub.sidecar.row import Row, Serving
from hub.version import __version__
from hub.wire.channels import CHANNELS
from hub.wire.codec import encode
from hub.wire.health import HealthReport
from hub.wire.subjects import METRICS

State = Literal["healthy", "degraded", "unhealthy"]


class Welcome(Struct, frozen=True, kw_only=True):
    """Who this is, and where to go on."""

    service: str
    version: str
    docs: str
    """The page that explains the routes."""
    openapi: str
    """The same for machines."""
    routes: tuple[str, ...]
    """Method and path of each."""


class Health(Struct, frozen=True, kw_only=True):
    """How this hub is, in the shape that monitors of the platform read.

    Where who asks must be proven, all but `status` and `version` is for operators, readers and Prometheus.
    """

    status: State
    version: str
    timestamp: int | UnsetType = UNSET
    """Milliseconds of Unix time."""
    checks: dict[str, str] | UnsetType = UNSET
    """How each dependency is: `healthy`, `degraded`, `unhealthy` or `not_configured`."""
    registered_services: int | UnsetType = UNSET
    """How many services have instances."""
    details: dict[str, Any] | UnsetType = UNSET
    """What an operator wants to know besides."""


class Alive(Struct, frozen=True, kw_only=True):
    """Whether to leave the process alone."""

    alive: bool


class Ready(Struct, frozen=True, kw_only=True):
    """Whether to send requests here."""

    ready: bool


class Components(Struct, frozen=True, kw_only=True):
    """How this hub and what it depends on are."""

    status: State
    """Of the hub, as in `/health`."""
    checks: dict[str, str]
    """Of each dependency, as in `/health`."""


class ServicesHealth(Components, frozen=True, kw_only=True):
    """How this hub, what it depends on, and the services are, as of `revision`.

    `next` is there when the list of services was cut.
    """

    revision: int
    services: tuple[HealthReport, ...]
    next: str | None = None


def components(hub: Hub) -> Components:
    """How the hub and its dependencies are."""
    checks = hub.checks()
    bad = {name for name, state in checks.items() if state in ("unhealthy", "degraded")}
    status: State = "healthy" if not bad and hub.ready else "degraded"
    if checks.get("nats") == "unhealthy" or not hub.alive:
        status = "unhealthy"
    return Components(status=status, checks=checks)


async def root(serving: Serving, row: Row, request: Request) -> Response:
    """Who this is and where to go on."""
    routes = tuple(f"{row.method} {row.path}" for row in serving.table)
    welcome = Welcome(service="central-hub", version=__version__, docs="/docs", openapi="/openapi.json", routes=routes)
    return respond(encode(welcome))


_TOLD_ALL: Final = next(frozenset(channel.publishers) for channel in CHANNELS if channel.address == METRICS)
"""Who is told all that `/health` has to say, where who asks must be proven: who may have the metrics."""


async def health(serving: Serving, row: Row, request: Request) -> Response:
    """The shape that existing monitors read: 200 for healthy and degraded, 503 for unhealthy."""
    hub = serving.hub
    whole = components(hub)
    body = Health(status=whole.status, version=__version__)
    if serving.login is None or _told_all(request.state.proof):
        body = Health(
            status=whole.status,
            version=__version__,
            timestamp=int(time() * 1000),
            checks=whole.checks,
            registered_services=hub.registered_services,
            details=hub.details(),
        )
    return respond(encode(body), 503 if whole.status == "unhealthy" else 200)


async def livez(serving: Serving, row: Row, request: Request) -> Response:
    """Whether to leave the process alone (200) or restart it (503)."""
    return respond(encode(Alive(alive=serving.hub.alive)), 200 if serving.hub.alive else 503)


async def readyz(serving: Serving, row: Row, request: Request) -> Response:
    """Whether to send requests here."""
    return respond(encode(Ready(ready=serving.hub.ready)), 200 if serving.hub.ready else 503)


async def metrics(serving: Serving, row: Row, request: Request) -> Response:
    """For Prometheus."""
    if serving.login is not None and request.state.proof is not None:
        serving.hub.admit(METRICS, b"")
    body, content_type = serving.hub.scrape()
    return respond(body, media_type=content_type)


def _told_all(proof: Proof | None) -> bool:
    return proof is not None and proof.caller.role in _TOLD_ALL and proof.scopes is None
