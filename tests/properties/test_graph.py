"""The graph of services against what one would work out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hub.core.catalog import Catalog
from hub.core.cycles import cycles
from hub.core.graph import Topology, combined
from hub.core.graph_answers import GraphAnswers
from hub.core.observations import Observations
from hub.wire.graph import Direction, Graph, ServiceGraph
from tests.unit.core.making import WALL, record

NAMES = tuple("abcdefgh")
edge = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES))
edge_sets = st.sets(edge, max_size=24)


def adjacency(edges: set[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(sorted(t for s, t in edges if s == name)) for name in sorted({s for s, _ in edges})}


def steps(edges: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """How far it is from each to each, by Floyd and Warshall; pairs without a way are left out."""
    far = 1000
    distance = {(a, b): 0 if a == b else 1 if (a, b) in edges else far for a in NAMES for b in NAMES}
    for middle in NAMES:
        for a in NAMES:
            for b in NAMES:
                distance[a, b] = min(distance[a, b], distance[a, middle] + distance[middle, b])
    return {pair: length for pair, length in distance.items() if length < far}


@given(edge_sets, st.sets(st.sampled_from(NAMES)))
def test_the_cycles_are_the_sets_in_which_each_is_reached_from_each(
    edges: set[tuple[str, str]], nodes: set[str]
) -> None:
    inside = {(s, t) for s, t in edges if s in nodes and t in nodes}
    ways = steps(inside)
    together = {tuple(b for b in NAMES if (a, b) in ways and (b, a) in ways) for a in sorted(nodes)}
    expected = sorted(knot for knot in together if len(knot) > 1 or (knot[0], knot[0]) in inside)
    assert cycles(nodes, adjacency(edges)) == expected


@given(edge_sets, st.sampled_from(NAMES), st.integers(0, 9))
def test_a_part_of_the_graph_is_what_is_so_many_steps_away(edges: set[tuple[str, str]], name: str, depth: int) -> None:
    ways = {pair: length for pair, length in steps(edges).items() if not depth or length <= depth}
    down, up = {b for a, b in ways if a == name}, {a for a, b in ways if b == name}
    wanted: Mapping[Direction, set[str]] = {"dependencies": down, "dependants": up, "both": down | up}
    topology = Topology(adjacency(edges))
    for direction, expected in wanted.items():
        assert topology.select(name, direction, depth).order == tuple(sorted(expected))


@given(edge_sets, edge_sets)
def test_declared_and_observed_edges_are_put_together(one: set[tuple[str, str]], other: set[tuple[str, str]]) -> None:
    joined = combined(adjacency(one), other)
    assert {source: tuple(targets) for source, targets in joined.items()} == adjacency(one | other)


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES)), st.booleans()), max_size=20),
    edge_sets,
    st.integers(1, 4),
    st.booleans(),
)
def test_however_it_came_about_a_graph_is_what_is_registered_and_observed_and_its_pages_are_the_whole(
    happened: list[tuple[str, set[str], bool]], seen: set[tuple[str, str]], limit: int, observed: bool
) -> None:
    told: list[str] = []
    catalog, observations = Catalog(told.append), Observations()
    answers = GraphAnswers(catalog, observations, max_bytes=1 << 20)
    registered: dict[str, set[str]] = {}
    for revision, (name, needs, leaves) in enumerate(happened, start=1):
        if leaves:
            catalog.apply_removal(f"{name}.i", revision)
            registered.pop(name, None)
        else:
            catalog.apply(record(name, "i", depends_on=tuple(sorted(needs))), revision)
            registered[name] = needs
        for service in told:
            answers.notice(service)
        told.clear()
        ask(answers, Graph(observed=observed))
    for source, target in sorted(seen):
        observations.see(source, target, 0.0)
    whole = ask(answers, Graph(observed=observed))
    declared = {(s, t) for s, targets in registered.items() for t in targets}
    edges = declared | {(s, t) for s, t in seen if observed and s != t}
    assert [(e.source, e.target) for e in whole.edges] == sorted(edges)
    assert [s.name for s in whole.services] == sorted(registered.keys() | {end for pair in edges for end in pair})
    assert {(e.source, e.target) for e in whole.edges if e.declared} == declared
    assert pages(answers, Graph(observed=observed, limit=limit)) == whole


def ask(answers: GraphAnswers, query: Graph) -> ServiceGraph:
    return msgspec.json.decode(answers.graph(query, 0.0, WALL), type=ServiceGraph)


def pages(answers: GraphAnswers, query: Graph) -> ServiceGraph:
    """The graph put together from its pages, none of which has more services than the limit."""
    page = ask(answers, query)
    joined = page
    while page.next is not None:
        page = ask(answers, msgspec.structs.replace(query, after=page.next))
        assert len(page.services) <= query.limit
        joined = msgspec.structs.replace(
            joined,
            services=joined.services + page.services,
            edges=joined.edges + page.edges,
            cycles=joined.cycles + page.cycles,
        )
    return msgspec.structs.replace(joined, next=None)
