"""Registering, deregistering and beating: what a service says about itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from hub.wire import subjects
from hub.wire.checks import MAX_CHECKS, Check, CheckReport, name_of
from hub.wire.configstatus import ConfigRefusal
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
    Share,
    Tag,
    Ttl,
    Version,
    Weight,
    Zone,
)

DEFAULT_TTL = 6.0
DEFAULT_DEREGISTER_AFTER = 60.0
PROBE_DEREGISTER_AFTER = 1800.0
"""For those who are looked at: many register but once, and would not come back after a network that was away."""
BEATS_PER_TTL = 3
"""An instance beats this often within its ttl, so that two lost beats in a row do no harm."""

MAX_METADATA_DEPTH = 16


class Register(Struct, frozen=True, kw_only=True):
    """Registers or updates one instance. Only name, host and port are required."""

    name: ServiceName
    host: Host
    """Where others reach it."""
    port: Port
    protocol: Protocol = "http"
    """How to speak to it, as in a URL."""
    health_endpoint: Annotated[str, Meta(max_length=512)] | None = None
    """Path that says how it is, as in `/health`."""
    metadata: dict[str, Any] = {}
    """Anything else; `capabilities`, a list of texts, is what it can be found by."""
    instance_id: InstanceId | None = None
    """Which instance this is; where none is given, the one at this name, host and port."""
    version: Version = ""
    zone: Zone | None = None
    """Where it runs, for callers who prefer what is near."""
    tags: Annotated[tuple[Tag, ...], Meta(max_length=64)] = ()
    """What it can be found by."""
    weight: Weight = 100
    """Its share with the strategy `weighted`."""
    depends_on: Annotated[tuple[ServiceName, ...], Meta(max_length=64)] = ()
    """The services that it needs."""
    liveness: Liveness = "heartbeat"
    """`heartbeat`: it beats, or goes; `probe`: the hub looks at it; `permanent`: it stays whatever happens."""
    ttl: Ttl | None = None
    """Seconds without a beat until it is critical; the hub's default (6) where none is given."""
    deregister_after: Annotated[float, Meta(ge=1, le=2_592_000.0)] | None = None
    """Seconds it stays critical until it is removed; the hub's default (60, or 1800 where `liveness` is `probe`) where
    none is given. One whose checks flap stays for a minute more, as it may have to succeed for that long before it is
    passing."""
    checks: Annotated[tuple[Check, ...], Meta(max_length=MAX_CHECKS)] = ()
    """How the hub should look at it; where `liveness` is `probe` and nothing is given, an HTTP request to the
    `health_endpoint`, or a TCP connection where there is none."""
    protect_threshold: Share | None = None
    """When no more than this share of the service's instances is well, discovery answers with all of them rather than
    let the few be overrun, and says so; 0 for never; the hub's default (0) where none is given. Of several instances of
    a service, the highest counts."""
    include: tuple[Literal["config", "dependencies"], ...] = ()
    """What the reply should carry besides, so that a service boots in one round trip."""
    config_schema: dict[str, Any] | None = None
    """The JSON Schema that the service's configuration must be valid by. It is stored for the service, unless a newer
    version's holds; `config_schema` in the reply says what came of it, and the instance is registered in any case."""

    def __post_init__(self) -> None:
        if subjects.is_reserved(self.name):
            raise ValueError(f"name: expected a name that is not reserved for the hub itself, got {self.name!r}")
        if nesting(self.metadata) > MAX_METADATA_DEPTH:
            raise ValueError(f"metadata: expected at most {MAX_METADATA_DEPTH} levels of nesting, got more")
        names = [name_of(check) for check in self.checks] if self.checks else []
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"checks: expected a name of its own for each, got {twice!r} more than once")


class SchemaOutcome(Struct, frozen=True, kw_only=True):
    """What came of the schema in a registration."""

    accepted: bool
    """Whether the configuration of the service is held to it from now on."""
    reason: str = ""
    """Why not; of one that is accepted, in what the configuration is not valid by it yet."""
    retryable: bool = False
    """Whether registering again may help."""


class Registered(Struct, frozen=True, kw_only=True):
    """The registration is stored. `revision` is the registry's revision at which it was.

    Give it to `hub.discover` as `min_revision` to read your own write from any replica.
    """

    name: str
    instance_id: str
    revision: int
    heartbeat_interval: Seconds
    """Seconds between two beats."""
    ttl: Seconds
    """Seconds without a beat until it is critical."""
    heartbeat_subject: str
    """Where to publish the beats."""
    dependencies: dict[str, Discovered] | None = None
    """The instances of each service that it depends on, if asked for; one that is missing has to be discovered."""
    config: dict[str, Any] | None = None
    """Its configuration, if asked for."""
    config_schema: SchemaOutcome | None = None
    """What came of the schema of its configuration, if it gave one."""


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
    """How it finds itself; null means as before, `passing` to begin with."""
    load: Load | None = None
    """How busy it is, 0 for idle; for the strategy `least_loaded`."""
    config_revision: Annotated[int, Meta(ge=0)] | None = None
    """The revision of its configuration that it works by."""
    config_refused: ConfigRefusal | None = None
    """The newer revision that it cannot work by, and why."""
    message: Reason | None = None
    """Why its status is what it is."""
    checks: Annotated[dict[str, CheckReport], Meta(max_length=MAX_CHECKS)] = {}
    """What it says of its `ttl` checks, by their names."""
    uses: Annotated[tuple[ServiceName, ...], Meta(max_length=64)] = ()
    """The services that it has discovered of late, for the graph of services."""


def nesting(value: dict[str, Any]) -> int:
    """How deep containers nest in `value`, itself included; without recursion, and giving up just past the bound."""
    level: list[dict[str, Any] | list[Any]] = [value]
    depth = 0
    while level and depth <= MAX_METADATA_DEPTH:
        depth += 1
        inner: list[dict[str, Any] | list[Any]] = []
        for container in level:
            items = container.values() if isinstance(container, dict) else container
            inner.extend(item for item in items if isinstance(item, (dict, list)))
        level = inner
    return depth
