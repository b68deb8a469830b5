"""The graph of services: which declares which, and what can be reached from where.

What services declare is kept by service, and looked at again only for those that changed; the edges are put together
anew only when an edge has come or gone. How the services are is no part of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hub.core.cycles import cycles
from hub.core.entry import Service
from hub.wire.graph import Direction

Edges = Mapping[str, Sequence[str]]
"""Where the edges of a service lead, sorted; services without are left out."""

MAX_SELECTIONS = 16
"""Questions about the same graph whose answers are remembered."""


class Declared:
    """What services say that they depend on: the union of what their instances say."""

    def __init__(self) -> None:
        self.version = 0
        """Moves with every edge that comes or goes."""
        self.targets: dict[str, tuple[str, ...]] = {}
        self.count = 0
        """Edges in all."""

    def look(self, service: str, known: Service | None) -> None:
        """Look at a service again, as it is now; None where it is not known."""
        entries = known.entries.values() if known is not None else ()
        after = tuple(sorted({target for entry in entries for target in entry.record.depends_on}))
        before = self.targets.get(service, ())
        if after == before:
            return
        self.version += 1
        self.count += len(after) - len(before)
        if after:
            self.targets[service] = after
        else:
            del self.targets[service]


@dataclass(frozen=True, slots=True)
class Selected:
    """A part of the graph: its services, and the cycles among them by their first service."""

    names: frozenset[str]
    order: tuple[str, ...]
    """The names, sorted."""
    cycles: Mapping[str, tuple[str, ...]]


class Topology:
    """The edges at one moment.

    Args:
        edges: Where the edges of each service lead.
    """

    def __init__(self, edges: Edges) -> None:
        self.edges = edges
        self._selections: dict[tuple[str, Direction, int], Selected] = {}

    @cached_property
    def reversed(self) -> Edges:
        """Where the edges that lead to a service begin."""
        sources: dict[str, list[str]] = {}
        for source, targets in self.edges.items():
            for target in targets:
                sources.setdefault(target, []).append(source)
        return sources

    def select(self, name: str, direction: Direction, depth: int) -> Selected:
        """The part around a service, itself included; the whole where the name is empty.

        Args:
            name: The service. Where no edge begins or ends at it, it is alone in its part.
            direction: Which way to follow the edges.
            depth: How many steps to go; 0 for as far as it goes.
        """
        question: tuple[str, Direction, int] = (name, direction, depth) if name else ("", "both", 0)
        selected = self._selections.get(question)
        if selected is None:
            if len(self._selections) >= MAX_SELECTIONS:
                self._selections.clear()
            selected = self._selections[question] = self._select(*question)
        return selected

    def _select(self, name: str, direction: Direction, depth: int) -> Selected:
        names = {name} if name else {*self.edges, *self.reversed}
        if name and direction != "dependants":
            names |= reach(name, self.edges, depth)
        if name and direction != "dependencies":
            names |= reach(name, self.reversed, depth)
        knots = {knot[0]: knot for knot in cycles(names, self.edges)}
        return Selected(frozenset(names), tuple(sorted(names)), knots)


def reach(start: str, edges: Edges, depth: int) -> set[str]:
    """What is at most `depth` steps from the start (0: any number), itself included; by breadth."""
    found, front = {start}, {start}
    steps = 0
    while front and (not depth or steps < depth):
        front = {target for source in front for target in edges.get(source, ())} - found
        found |= front
        steps += 1
    return found


def combined(declared: Edges, observed: Iterable[tuple[str, str]]) -> Edges:
    """Declared and observed edges in one."""
    joined: dict[str, set[str]] = {}
    for source, target in observed:
        joined.setdefault(source, set()).add(target)
    return {**declared, **{source: sorted(found.union(declared.get(source, ()))) for source, found in joined.items()}}


def is_edge(edges: Edges, source: str, target: str) -> bool:
    """Whether the edge is there."""
    targets = edges.get(source, ())
    place = bisect_left(targets, target)
    return place < len(targets) and targets[place] == target
