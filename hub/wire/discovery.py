"""Asking who is there: discovery of instances and the list of services."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from hub.wire.names import ServiceNameOrEmpty, Status, Strategy, Tag, Zone

MAX_WAIT = 60.0


class Discover(Struct, frozen=True, kw_only=True):
    """Which instances are wanted, and how to choose among them.

    With the strategy `all`, `limit` 0 means everyone, sorted by instance id. The other strategies pick: `limit` 0
    means one. The default `status` of `passing` answers with passing instances; when there are none, with warning ones,
    then with suspect ones, and says `degraded`. Any other status is matched exactly; `any` matches all.
    """

    name: ServiceNameOrEmpty = ""
    tags: Annotated[tuple[Tag, ...], Meta(max_length=16)] = ()
    capabilities: Annotated[tuple[Tag, ...], Meta(max_length=16)] = ()
    version: Annotated[str, Meta(max_length=256)] = ""
    zone: Zone | None = None
    status: Status | Literal["any"] = "passing"
    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    after: Annotated[str, Meta(max_length=128)] = ""
    strategy: Strategy = "all"
    min_revision: Annotated[int, Meta(ge=0)] = 0
    wait: Annotated[float, Meta(ge=0, le=MAX_WAIT)] = 0.0


class Instance(Struct, frozen=True, kw_only=True):
    """One instance as discovery shows it."""

    instance_id: str
    name: str
    host: str
    port: int
    protocol: str
    url: str
    health_endpoint: str | None
    status: Status
    version: str
    zone: str | None
    tags: tuple[str, ...]
    weight: int
    load: float | None
    metadata: dict[str, Any]
    since: datetime


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
    passing: int
    warning: int
    critical: int
    versions: tuple[str, ...]


class ServiceList(Struct, frozen=True, kw_only=True):
    """The services as of `revision`; `next` is there when the list was cut."""

    revision: int
    services: tuple[ServiceSummary, ...]
    next: str | None = None
