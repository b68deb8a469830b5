"""Health reports: published on `hub.health.<component>`, and answered on `hub.health` to those who ask."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from hub.wire.checks import CheckState
from hub.wire.names import ServiceNameOrEmpty, Status


class InstanceHealth(Struct, frozen=True, kw_only=True):
    """How one instance is, why, and since when."""

    instance_id: str
    status: Status
    reason: str
    since: datetime
    """When it came to its present status."""
    check: str = ""
    """What decided the status: the name of a check, or `heartbeat` (silence), `connection` (it is lost), `report` (its
    own word), `upstream` (a service it depends on), `operator`; empty where it is passing."""
    checks: tuple[CheckState, ...] = ()
    """What is known of each of its checks."""


class HealthReport(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """How a service is: `passing` when all its instances are, `critical` when none can be chosen, else `warning`.

    Published on every change and every 10 seconds. `omitted` counts instances left out to stay below the server's
    `max_payload`; the ones in trouble are listed first.
    """

    service: str
    """The service, or the part of the hub itself."""
    status: Status
    revision: int
    """The revision at which it last changed."""
    instances: tuple[InstanceHealth, ...]
    reason: str = ""
    omitted: int = 0


class GetHealth(Struct, frozen=True, kw_only=True):
    """Asks how services are, sorted by name."""

    name: ServiceNameOrEmpty = ""
    """Only this one; empty for all of them."""
    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many services at most; 0 for no limit."""
    after: Annotated[str, Meta(max_length=128)] = ""
    """Where a list that was cut goes on: the `next` of the answer before."""


class HealthList(Struct, frozen=True, kw_only=True):
    """How the services are as of `revision`; `next` is there when the list was cut."""

    revision: int
    services: tuple[HealthReport, ...]
    next: str | None = None
