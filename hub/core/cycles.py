"""Finding services that depend on each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping


def cycles(nodes: Iterable[str], edges: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """The sets of nodes in which each is reached from each, and nodes with an edge to themselves; all of it sorted.

    Tarjan's strongly connected components (Depth-First Search and Linear Graph Algorithms, SIAM J. Computing 1(2),
    1972), with the stack of calls made a list: a chain of services may be longer than Python's own stack is deep. It
    takes time in proportion to the nodes and edges.

    Args:
        nodes: Which nodes there are; edges to others do not count.
        edges: Where the edges of a node lead.
    """
    search = _Search(nodes, edges)
    return sorted(search.found)


class _Search:
    """One run of the algorithm; the names are those of the paper, as far as it has any."""

    def __init__(self, nodes: Iterable[str], edges: Mapping[str, Collection[str]]) -> None:
        self.found: list[tuple[str, ...]] = []
        self._nodes = frozenset(nodes)
        self._edges = edges
        self._number: dict[str, int] = {}
        self._lowlink: dict[str, int] = {}
        self._stack: list[str] = []
        self._on_stack: set[str] = set()
        for node in self._nodes:
            if node not in self._number:
                self._explore(node)

    def _explore(self, root: str) -> None:
        path = [(root, self._enter(root))]
        while path:
            node, targets = path[-1]
            following = self._next_unseen(node, targets)
            if following is not None:
                path.append((following, self._enter(following)))
                continue
            path.pop()
            if path:
                above = path[-1][0]
                self._lowlink[above] = min(self._lowlink[above], self._lowlink[node])
            if self._lowlink[node] == self._number[node]:
                self._leave(node)

    def _enter(self, node: str) -> Iterator[str]:
        self._number[node] = self._lowlink[node] = len(self._number)
        self._stack.append(node)
        self._on_stack.add(node)
        return iter(self._edges.get(node, ()))

    def _next_unseen(self, node: str, targets: Iterator[str]) -> str | None:
        for target in targets:
            if target not in self._nodes:
                continue
            if target not in self._number:
                return target
            if target in self._on_stack:
                self._lowlink[node] = min(self._lowlink[node], self._number[target])
        return None

    def _leave(self, root: str) -> None:
        """The nodes above the root on the stack, and the root, are a component."""
        component: list[str] = []
        while not component or component[-1] != root:
            component.append(self._stack.pop())
        self._on_stack.difference_update(component)
        if len(component) > 1 or root in self._edges.get(root, ()):
            self.found.append(tuple(sorted(component)))
