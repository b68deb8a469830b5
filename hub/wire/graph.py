"""The graph of services: who depends on whom, as they declare it and as it is observed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from hub.wire.names import InstanceId, ReportedStatus, ServiceName, ServiceNameOrEmpty

SERVICE_HEADER: Final = "Hub-Service"
"""With a request on `hub.discover`: the name of the service that asks."""
MAX_OBSERVED: Final = 256
"""Edges in one message between hubs."""

Direction = Literal["both", "dependencies", "dependants"]


class Graph(Struct, frozen=True, kw_only=True):
    """Asks who depends on whom: in all, or around one service."""

    name: ServiceNameOrEmpty = ""
    """Only this service and what can be reached from it; empty for all services."""
    direction: Direction = "both"
    """From the named service: to what it depends on, to what depends on it, or both."""
    depth: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many steps to go from the named service; 0 for as far as it goes."""
    observed: bool = True
    """Whether edges count that are observed and not declared."""
    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many services at most, each with all its edges; 0 for as many as the hub likes to tell at once."""
    after: Annotated[str, Meta(max_length=128)] = ""
    """Where a graph that was cut goes on: the `next` of the answer before."""


class GraphService(Struct, frozen=True, kw_only=True):
    """One service of the graph, and how it is."""

    name: str
    status: ReportedStatus
    """As on `hub.health.*`: `passing` when all its instances are, `critical` when none can be chosen. A service that
    others depend on and that is not registered is `critical`; one that only asks for others is `warning`."""
    instances: int
    passing: int
    reason: str = ""
    """Why it is not passing."""


class GraphEdge(Struct, frozen=True, kw_only=True):
    """The service `source` depends on the service `target`."""

    source: str
    target: str
    declared: bool
    """Whether an instance of the source says so when it registers (`depends_on`)."""
    observed: bool
    """Whether the source has been seen to discover the target of late."""
    last_seen: datetime | None = None
    """When it was last seen to do so, to the second."""


class ServiceGraph(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The services, sorted by name, and the edges that begin at them; `next` is there when the graph was cut.

    The parts of a graph that was cut are put together by putting their lists together.
    """

    revision: int
    services: tuple[GraphService, ...]
    edges: tuple[GraphEdge, ...]
    """Sorted by source and target."""
    cycles: tuple[tuple[str, ...], ...]
    """The sets of services in which each depends on each, perhaps by way of others; sorted. It comes with the first of
    its services, and is cut to 256 of them."""
    next: str | None = None


class ObservedEdge(Struct, frozen=True, kw_only=True):
    """The service `source` was seen to discover the service `target`."""

    source: ServiceName
    target: ServiceName


class Observed(Struct, frozen=True, kw_only=True):
    """What one hub tells the others that it has observed."""

    edges: Annotated[tuple[ObservedEdge, ...], Meta(max_length=MAX_OBSERVED)]
    by: InstanceId
    """The replica that observed it, which hears itself and knows it already."""
