"""Health reports on `hub.health.<component>`."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from hub.wire.checks import CheckState
from hub.wire.names import Status


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
