"""What the registry stores, and what `hub.delta.registry.<service>.<instance>` therefore carries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from hub.wire.checks import Check, CheckState
from hub.wire.names import Liveness, Source, Status


class Desired(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What operators want of an instance. It is kept apart from what the instance says, and wins over it."""

    mode: Status | None = None
    """`draining` or `maintenance`; None where operators want nothing special."""
    weight: int | None = None
    """In place of the weight that the instance gives itself."""
    metadata: dict[str, Any] = {}
    """Laid over the metadata that the instance gives itself, key by key."""
    reason: str = ""
    """Why, in their words: of the mode where there is one, else of the last change that came with a reason."""
    author: str = ""
    """Who changed it last, as they call themselves."""
    changed_at: datetime | None = None
    """When it was changed last."""


class Heard(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an instance is by what was heard of it: its beats, its connection, its own word."""

    status: Status
    reason: str = ""
    check: str = ""
    """`heartbeat`, `connection` or `report`; empty where it is passing."""


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One instance as stored: what it said of itself, and the state the hub gave it.

    `status`, `reason` and `check` already have the checks, the dependencies and the desired state applied, so that a
    reader of this record alone sees what discovery shows.
    """

    name: str
    instance_id: str
    host: str
    port: int
    registered_at: datetime
    """When this instance first registered; an update keeps it."""
    since: datetime
    """When it came to its present status."""
    protocol: str = "http"
    health_endpoint: str | None = None
    metadata: dict[str, Any] = {}
    version: str = ""
    zone: str | None = None
    tags: tuple[str, ...] = ()
    weight: int = 100
    depends_on: tuple[str, ...] = ()
    liveness: Liveness = "heartbeat"
    ttl: float = 6.0
    deregister_after: float = 60.0
    checks: tuple[Check, ...] = ()
    """How the hub looks at it."""
    protect_threshold: float | None = None
    """At which share of well instances discovery answers with all of the service; null for never."""
    source: Source = "registration"
    """How it came here: it registered, or it was found by the micro protocol of NATS."""
    status: Status = "passing"
    reason: str = ""
    check: str = ""
    """What decided `status`: the name of a check, or `heartbeat`, `connection`, `report`, `upstream`, `operator`; empty
    where it is passing."""
    heard: Heard | None = None
    """How it is by what was heard of it alone, beneath checks, dependencies and desired state; null where that is what
    `status`, `reason` and `check` say."""
    check_states: tuple[CheckState, ...] = ()
    """What is known of each check that has been made."""
    renewed: datetime | None = None
    """When it last registered again while its checks said that it is critical: it then has all of `deregister_after`
    again to pass them, and is looked at soon."""
    relapses: int = 0
    """How often it went critical again soon after it had recovered (see flap damping)."""
    desired: Desired | None = None
    """A copy of what operators want, for readers of this record; the original outlives the registration."""
