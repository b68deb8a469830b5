"""Encoded replies to questions about the graph of services, cut to what a message may hold.

A page costs what is on it: the edges are put together again only when one has come or gone, and how a service is is
encoded once per change of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from hub.core.catalog import Catalog
from hub.core.entry import Service
from hub.core.graph import Declared, Edges, Selected, Topology, combined, is_edge
from hub.core.observations import Observations
from hub.core.reports import overall
from hub.wire.codec import encode
from hub.wire.graph import Graph, GraphEdge, GraphService
from hub.wire.names import CRITICAL, PASSING, WARNING, ReportedStatus

MAX_SERVICES = 1000
"""Services on one page: nothing else is answered while a page is put together."""
MAX_CYCLE = 256
"""Services that are named of one cycle."""

_ENVELOPE_BYTES = 512
"""Room for what surrounds the lists in a reply."""
_REASON = 200
"""Characters that a service's reason may take."""
_LEAP: Final = timedelta(seconds=1)
"""By how much the time of day has to leap against the monotonic clock to be believed."""
_STEP: Final = "/"
"""In the `next` of a page: behind the name of the service with which it goes on, once the service's cycle was told, and
before the target of the last edge that was told."""
MAX_CHANGED: Final = 10_000
"""Changed services after which they are looked at, although nobody asks."""

_SERVICES, _EDGES, _CYCLES = 0, 1, 2


class _Row(NamedTuple):
    """A piece of a page: in which list it belongs, its bytes, and the `next` of a page that ends with it."""

    place: int
    data: bytes
    following: str


class GraphAnswers:
    """Answers questions about the graph.

    Args:
        catalog: Which services there are, how they are, and what they declare.
        observations: Which edges are observed.
        max_bytes: The largest reply that the NATS server carries.
    """

    def __init__(self, catalog: Catalog, observations: Observations, *, max_bytes: int) -> None:
        self._catalog = catalog
        self._observations = observations
        self._budget = max_bytes - _ENVELOPE_BYTES
        self._declared = Declared()
        self._changed: dict[str, None] = dict.fromkeys(catalog.names)
        self._rows: dict[str, bytes] = {}
        self._topologies: dict[bool, tuple[tuple[int, int], Topology]] = {}
        self._epoch = datetime.min.replace(tzinfo=UTC)
        """The time of day at which the monotonic clock was 0."""

    def notice(self, service: str) -> None:
        """The service has changed. Every visible change of one has to be told."""
        if len(self._changed) >= MAX_CHANGED:
            self._look()
        self._changed[service] = None

    def counts(self, now: float) -> dict[str, int]:
        """How many edges there are, by kind."""
        self._look()
        self._observations.forget(now)
        return {"declared": self._declared.count, "observed": len(self._observations)}

    def graph(self, query: Graph, now: float, wall: datetime) -> bytes:
        """The encoded `ServiceGraph`.

        Args:
            query: What is asked.
            now: Monotonic seconds, as the observations have them.
            wall: The same moment as the time of day.
        """
        self._look()
        self._observations.forget(now)
        epoch = wall - timedelta(seconds=now)
        if abs(epoch - self._epoch) > _LEAP:  # lest the same moment be told as another second each time
            self._epoch = epoch
        topology = self._topology(observed=query.observed)
        services: list[bytes] = []
        edges: list[bytes] = []
        cycles: list[bytes] = []
        places = {_SERVICES: services, _EDGES: edges, _CYCLES: cycles}
        left, size = min(query.limit or MAX_SERVICES, MAX_SERVICES), 0
        last: str | None = None
        for row in self._pieces(query, topology):
            size += len(row.data) + 1
            if last is not None and (size > self._budget or (row.place == _SERVICES and not left)):
                break
            left -= row.place == _SERVICES
            places[row.place].append(row.data)
            last = row.following
        else:
            last = None
        return b'{"revision":%d,"services":[%b],"edges":[%b],"cycles":[%b],"next":%b}' % (
            self._catalog.revision,
            b",".join(services),
            b",".join(edges),
            b",".join(cycles),
            b'"%b"' % last.encode() if last is not None else b"null",
        )

    # --- inside

    def _look(self) -> None:
        """Take in what has changed since the last time."""
        changed, self._changed = self._changed, {}
        for name in changed:
            self._declared.look(name, self._catalog.services.get(name))
            self._rows.pop(name, None)

    def _topology(self, *, observed: bool) -> Topology:
        version = self._declared.version, self._observations.version if observed else 0
        known = self._topologies.get(observed)
        if known is None or known[0] != version:
            declared = self._declared.targets
            edges: Edges = combined(declared, self._observations if observed else ())
            known = self._topologies[observed] = version, Topology(edges)
        return known[1]

    def _pieces(self, query: Graph, topology: Topology) -> Iterator[_Row]:
        """Everything that is asked for, from where the question wants it to go on."""
        begun, step, told = query.after.partition(_STEP)
        selected = topology.select(query.name, query.direction, query.depth)
        for name in self._names(query, selected, topology, begun):
            if name != begun:
                step = told = ""
                yield _Row(_SERVICES, self._service(name, topology), name)
            if not step and (knot := selected.cycles.get(name)):
                yield _Row(_CYCLES, self._cycle(knot), name + _STEP)
            for target in topology.edges.get(name, ()):
                if target > told and target in selected.names:
                    yield _Row(_EDGES, self._edge(name, target), name + _STEP + target)

    def _names(self, query: Graph, selected: Selected, topology: Topology, first: str) -> Iterable[str]:
        """The services that are asked for, sorted, from `first` on."""
        registered = self._catalog.names
        if query.name:
            known = query.name in topology.edges or query.name in topology.reversed or self._is_registered(query.name)
            return selected.order[bisect_left(selected.order, first) :] if known else ()
        others = [
            name for name in selected.order[bisect_left(selected.order, first) :] if not self._is_registered(name)
        ]
        return sorted(registered[bisect_left(registered, first) :] + others)

    def _is_registered(self, name: str) -> bool:
        service = self._catalog.services.get(name)
        return service is not None and bool(service.entries)

    def _service(self, name: str, topology: Topology) -> bytes:
        if not self._is_registered(name):
            return encode(_unregistered(name, wanted=name in topology.reversed))
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = encode(_described(self._catalog.services[name]))
        return row

    def _cycle(self, knot: tuple[str, ...]) -> bytes:
        """The cycle, cut where it would fill the page."""
        kept = min(MAX_CYCLE, len(knot))
        while len(encoded := encode(knot[:kept])) > self._budget // 2 and kept > 1:
            kept //= 2
        return encoded

    def _edge(self, source: str, target: str) -> bytes:
        seen = self._observations.last_seen(source, target)
        return encode(
            GraphEdge(
                source=source,
                target=target,
                declared=is_edge(self._declared.targets, source, target),
                observed=seen is not None,
                last_seen=None if seen is None else (self._epoch + timedelta(seconds=seen)).replace(microsecond=0),
            )
        )


def _described(service: Service) -> GraphService:
    """A service that has instances."""
    entries = list(service.sorted())
    statuses = [entry.instance.status for entry in entries]
    whole = overall(statuses)
    status: ReportedStatus = PASSING if whole == PASSING else CRITICAL if whole == CRITICAL else WARNING
    reason = ""
    if status != PASSING:
        troubled = [entry for entry in entries if entry.instance.status != PASSING]
        worst = next((entry for entry in troubled if entry.instance.status == CRITICAL), troubled[0])
        reason = f"{worst.record.instance_id}: {worst.finding.reason or worst.instance.status}"[:_REASON]
        if len(troubled) > 1:
            reason += f" (and {len(troubled) - 1} more)"
    return GraphService(
        name=service.name,
        status=status,
        instances=len(entries),
        passing=statuses.count(PASSING),
        reason=reason,
    )


def _unregistered(name: str, *, wanted: bool) -> GraphService:
    """A service without instances, which others depend on, or which only asks for others."""
    return GraphService(
        name=name,
        status=CRITICAL if wanted else WARNING,
        instances=0,
        passing=0,
        reason="no instances" if wanted else "not registered, only seen to ask for others",
    )
