"""The graph of services as trees to look at: each service in full once, however many ways lead to it."""

from __future__ import annotations

from collections.abc import Iterator

from hub.cli import output
from hub.cli.output import Branch, Cell
from hub.wire.graph import Direction, GraphEdge, GraphService, ServiceGraph

BACK = "↺"
"""Marks a service that leads back to where it came from."""
ABOVE = "…"
"""Marks a service that is shown in full further up."""


def grown(graph: ServiceGraph, name: str, direction: Direction) -> list[Branch]:
    """The trees of a graph.

    With a name, it is the root; in both directions, what it depends on and what depends on it are two boughs. Without,
    there is a tree for each service on which nobody depends, and for each cycle on which nobody outside it does.
    """
    plant = _Plant(graph, upwards=direction == "dependants")
    if not name:
        return plant.trees()
    if direction != "both":
        return [plant.tree(name)]
    down, up = plant.tree(name), _Plant(graph, upwards=True).tree(name)
    boughs = [Branch([Cell("depends on", "dim")], down.below), Branch([Cell("needed by", "dim")], up.below)]
    return [Branch(down.label, [bough for bough in boughs if bough.below])]


class _Plant:
    """Grows trees along the edges of a graph, or `upwards`, against them."""

    def __init__(self, graph: ServiceGraph, *, upwards: bool) -> None:
        self._services = {service.name: service for service in graph.services}
        self._next: dict[str, list[tuple[str, GraphEdge]]] = {}
        self._led_to: set[str] = set()
        self._shown: set[str] = set()
        for edge in graph.edges:
            source, target = (edge.target, edge.source) if upwards else (edge.source, edge.target)
            self._next.setdefault(source, []).append((target, edge))
            self._led_to.add(target)

    def trees(self) -> list[Branch]:
        """A tree for each root, and then for what is in none of these: cycles, which have no root."""
        roots = [self.tree(name) for name in self._services if name not in self._led_to]
        return roots + [self.tree(name) for name in self._services if name not in self._shown]

    def tree(self, root: str) -> Branch:
        """The tree of a root. It may be deeper than Python's stack, so it is grown along a path of our own."""
        top = self._show(root, None)
        path = [(root, top, self._following(root))]
        on_path = {root}
        while path:
            name, branch, following = path[-1]
            step = next(following, None)
            if step is None:
                path.pop()
                on_path.discard(name)
                continue
            target, edge = step
            if target in on_path or (target in self._shown and target in self._next):
                branch.below.append(Branch(self._label(target, edge, BACK if target in on_path else ABOVE)))
                continue
            below = self._show(target, edge)
            branch.below.append(below)
            path.append((target, below, self._following(target)))
            on_path.add(target)
        return top

    def _following(self, name: str) -> Iterator[tuple[str, GraphEdge]]:
        return iter(self._next.get(name, ()))

    def _show(self, name: str, edge: GraphEdge | None) -> Branch:
        self._shown.add(name)
        return Branch(self._label(name, edge, ""))

    def _label(self, name: str, edge: GraphEdge | None, mark: str) -> list[Cell]:
        """The name, how the service is, and what is special about the edge that led here."""
        service = self._services.get(name)
        cells = [Cell(name, "bold")] if service is None else _described(service, in_full=not mark)
        if edge is not None and not edge.declared:
            cells.append(Cell(" ┄ only observed", "dim"))
        if mark:
            cells.append(Cell(f" {mark}", "dim"))
        return cells


def _described(service: GraphService, *, in_full: bool) -> list[Cell]:
    cells = [Cell(service.name, "bold"), Cell(" "), output.status(service.status)]
    if in_full:
        cells.append(Cell(f" {service.passing}/{service.instances}"))
        if service.reason:
            cells.append(Cell(f" {service.reason}", "dim"))
    return cells
