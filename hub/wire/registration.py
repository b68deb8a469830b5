"""Registering, deregistering and beating: what a service says about itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from hub.wire import subjects
from hub.wire.discovery import Discovered
from hub.wire.names import (
    Host,
    InstanceId,
    Liveness,
    Load,
    Port,
    Protocol,
    Reason,
    ReportedStatus,
    Seconds,
    ServiceName,
    Tag,
    Ttl,
    Version,
    Weight,
    Zone,
)

DEFAULT_TTL = 6.0
DEFAULT_DEREGISTER_AFTER = 60.0
BEATS_PER_TTL = 3
"""An instance beats this often within its ttl, so that two lost beats in a row do no harm."""

MAX_METADATA_DEPTH = 16


class Register(Struct, frozen=True, kw_only=True):
    """Registers or updates one instance. Only name, host and port are required."""

    name: ServiceName
    host: Host
    port: Port
    protocol: Protocol = "http"
    health_endpoint: Annotated[str, Meta(max_length=512)] | None = None
    metadata: dict[str, Any] = {}
    instance_id: InstanceId | None = None
    version: Version = ""
    zone: Zone | None = None
    tags: Annotated[tuple[Tag, ...], Meta(max_length=64)] = ()
    weight: Weight = 100
    depends_on: Annotated[tuple[ServiceName, ...], Meta(max_length=64)] = ()
    liveness: Liveness = "heartbeat"
    ttl: Ttl | None = None
    """Seconds without a beat until it is critical; the hub's default (6) where none is given."""
    deregister_after: Annotated[float, Meta(ge=1, le=2_592_000.0)] | None = None
    """Seconds it stays critical until it is removed; the hub's default (60) where none is given."""
    checks: Annotated[tuple[dict[str, Any], ...], Meta(max_length=16)] = ()
    include: tuple[Literal["config", "dependencies"], ...] = ()
    """What the reply should carry besides, so that a service boots in one round trip."""

    def __post_init__(self) -> None:
        if subjects.is_reserved(self.name):
            raise ValueError(f"name: expected a name that is not reserved for the hub itself, got {self.name!r}")
        if _depth(self.metadata) > MAX_METADATA_DEPTH:
            raise ValueError(f"metadata: expected at most {MAX_METADATA_DEPTH} levels of nesting, got more")


class Registered(Struct, frozen=True, kw_only=True):
    """The registration is stored. `revision` is the registry's revision at which it was.

    Give it to `hub.discover` as `min_revision` to read your own write from any replica.
    """

    name: str
    instance_id: str
    revision: int
    heartbeat_interval: Seconds
    ttl: Seconds
    heartbeat_subject: str
    dependencies: dict[str, Discovered] | None = None
    config: dict[str, Any] | None = None


class Deregister(Struct, frozen=True, kw_only=True):
    """Takes one instance out of the registry at once."""

    name: ServiceName
    instance_id: InstanceId
    reason: Reason | None = None


class Deregistered(Struct, frozen=True, kw_only=True):
    """The instance is gone as of `revision`."""

    revision: int


class Heartbeat(Struct, frozen=True, kw_only=True):
    """One beat. An empty payload means the same as an empty object: alive, nothing to add."""

    status: ReportedStatus | None = None
    load: Load | None = None
    config_revision: Annotated[int, Meta(ge=0)] | None = None
    message: Reason | None = None


def _depth(value: object) -> int:
    """How deep containers nest below `value`; without recursion, and giving up just past the bound."""
    level: list[object] = [value]
    depth = 0
    while level and depth <= MAX_METADATA_DEPTH:
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not any(isinstance(item, (dict, list)) for item in level):
            break
        depth += 1
        level = inner
    return depth
