"""Asking who is there: discovery of instances and the list of services."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from hub.wire.names import ServiceNameOrEmpty, Source, Status, Strategy, Tag, Zone

MAX_WAIT = 60.0


class Discover(Struct, frozen=True, kw_only=True):
    """Which instances are wanted, and how to choose among them.

    With the strategy `all`, `limit` 0 means everyone, sorted by instance id. The other strategies pick: `limit` 0
    means one. The default `status` of `passing` answers with passing instances; when there are none, with warning ones,
    then with suspect ones, and says `degraded`. Any other status is matched exactly; `any` matches all.
    """

    name: ServiceNameOrEmpty = ""
    tags: Annotated[tuple[Tag, ...], Meta(max_length=16)] = ()
    """All of them must be on an instance."""
    capabilities: Annotated[tuple[Tag, ...], Meta(max_length=16)] = ()
    """All of them must be in the list `capabilities` of its metadata."""
    version: Annotated[str, Meta(max_length=256)] = ""
    """A range such as `>=1.2,<2`; empty for any version."""
    zone: Zone | None = None
    """Only this zone; with the strategy `nearest` it is preferred, not demanded."""
    status: Status | Literal["any"] = "passing"
    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many instances at most; see above for 0."""
    after: Annotated[str, Meta(max_length=128)] = ""
    """Where a list that was cut goes on: the `next` of the answer before."""
    strategy: Strategy = "all"
    min_revision: Annotated[int, Meta(ge=0)] = 0
    """The revision that the answer should have reached; it waits for that for at most `wait`."""
    wait: Annotated[float, Meta(ge=0, le=MAX_WAIT)] = 0.0
    """Seconds to wait at most. The answer after that is what there is, with its own `revision`."""


class Instance(Struct, frozen=True, kw_only=True):
    """One instance as discovery shows it."""

    instance_id: str
    name: str
    host: str
    port: int
    protocol: str
    url: str
    """`protocol://host:port`, ready to be called."""
    health_endpoint: str | None
    """Path under `url` that says how it is."""
    status: Status
    version: str
    zone: str | None
    tags: tuple[str, ...]
    weight: int
    """Its share with the strategy `weighted`; 0 is chosen only when nobody else is left."""
    load: float | None
    """What it last said, 0 for idle; null where it said nothing."""
    metadata: dict[str, Any]
    since: datetime
    """When it came to its present status."""
    source: Source = "registration"
    """How it came into the registry: it registered, or it was found by the micro protocol of NATS."""
    protect_threshold: float = 0.0
    """At which share of well instances discovery answers with all of the service, and says `degraded`."""


class Discovered(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The instances that match, as of `revision`.

    `degraded` says that the hub could not answer with instances known to be well. `next` is there when the list was
    cut: ask again with `after` set to it. A `revision` lower than one seen before means: start again.
    """

    name: str
    revision: int
    degraded: bool
    instances: tuple[Instance, ...]
    next: str | None = None


class Services(Struct, frozen=True, kw_only=True):
    """Asks for the services, sorted by name."""

    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    after: Annotated[str, Meta(max_length=128)] = ""


class ServiceSummary(Struct, frozen=True, kw_only=True):
    """One service: how many instances, how they are, which versions run."""

    name: str
    instances: int
    """All of them, whatever their status."""
    passing: int
    warning: int
    """All that are neither passing nor critical: suspect, draining and in maintenance, too."""
    critical: int
    versions: tuple[str, ...]
    """The versions that run, sorted, at most 32."""


class ServiceList(Struct, frozen=True, kw_only=True):
    """The services as of `revision`; `next` is there when the list was cut."""

    revision: int
    services: tuple[ServiceSummary, ...]
    next: str | None = None
