"""The graph as trees and as diagrams: golden texts, and every hostile shape."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from hub.cli import output, tree
from hub.cli.diagrams import dot, mermaid
from hub.wire.graph import Direction, GraphEdge, GraphService, ServiceGraph
from hub.wire.names import ReportedStatus


def graph_of(*edges: str, **statuses: ReportedStatus) -> ServiceGraph:
    """A graph of edges written `a b`, or `a ~ b` where it is only observed; services are passing unless said so."""
    found = []
    for text in edges:
        source, *between, target = text.split()
        seen = datetime(2026, 5, 1, tzinfo=UTC) if between else None
        found.append(
            GraphEdge(source=source, target=target, declared=not between, observed=bool(between), last_seen=seen)
        )
    names = sorted({*statuses, *(end for edge in found for end in (edge.source, edge.target))})
    services = tuple(
        GraphService(
            name=name,
            status=(status := statuses.get(name, "passing")),
            instances=2,
            passing=2 if status == "passing" else 0,
            reason="" if status == "passing" else "a1: no heartbeat",
        )
        for name in names
    )
    return ServiceGraph(revision=1, services=services, edges=tuple(found), cycles=())


def lines(
    capsys: pytest.CaptureFixture[str], graph: ServiceGraph, name: str = "", direction: Direction = "both"
) -> list[str]:
    output.print_tree(tree.grown(graph, name, direction))
    return capsys.readouterr().out.splitlines()


def test_a_tree_has_each_service_under_those_that_need_it(capsys: pytest.CaptureFixture[str]) -> None:
    graph = graph_of("gate engine", "gate ~ ledger", "engine ledger", "ledger disk", ledger="critical", alone="warning")
    assert lines(capsys, graph) == [
        "alone warning 0/2 a1: no heartbeat",
        "gate passing 2/2",
        "  engine passing 2/2",
        "    ledger critical 0/2 a1: no heartbeat",
        "      disk passing 2/2",
        "  ledger critical ┄ only observed …",
    ]


def test_a_named_service_has_what_it_needs_and_who_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    graph = graph_of("gate engine", "engine ledger", "batch engine")
    both = ["engine passing 2/2", "  depends on", "    ledger passing 2/2", "  needed by", "    gate passing 2/2"]
    assert lines(capsys, graph, "engine") == [*both, "    batch passing 2/2"]
    assert lines(capsys, graph, "engine", "dependencies") == ["engine passing 2/2", "  ledger passing 2/2"]
    assert lines(capsys, graph, "ledger", "dependants")[:2] == ["ledger passing 2/2", "  engine passing 2/2"]
    assert lines(capsys, graph_of(alone="passing"), "alone") == ["alone passing 2/2"]


def test_a_cycle_is_cut_where_it_closes(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, graph_of("a b", "b c", "c a", "x x")) == [
        "a passing 2/2",
        "  b passing 2/2",
        "    c passing 2/2",
        "      a passing ↺",
        "x passing 2/2",
        "  x passing ↺",
    ]


def test_a_graph_of_many_ways_is_no_longer_than_its_edges(capsys: pytest.CaptureFixture[str]) -> None:
    edges = [f"n{level}{side} n{level + 1}{other}" for level in range(40) for side in "ab" for other in "ab"]
    assert len(lines(capsys, graph_of(*edges))) == len(edges) + 2, "two roots, and a line for each edge"


def test_a_chain_longer_than_pythons_stack_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(lines(capsys, graph_of(*(f"n{number:05} n{number + 1:05}" for number in range(3000))))) == 3001


def test_a_mermaid_diagram_is_as_it_was() -> None:
    graph = graph_of("end graph", "end ~ 9-lives", graph="critical")
    assert mermaid(graph).splitlines() == [
        "graph LR",
        '    n0["9-lives<br/>2/2"]:::passing',
        '    n1["end<br/>2/2"]:::passing',
        '    n2["graph<br/>0/2"]:::critical',
        "    n1 --> n2",
        "    n1 -.-> n0",
        "    classDef passing fill:#d7f5dd,stroke:#1a7f37,color:#1f2328",
        "    classDef warning fill:#fff3c4,stroke:#9a6700,color:#1f2328",
        "    classDef critical fill:#ffdcd7,stroke:#cf222e,color:#1f2328",
    ]


def test_a_dot_diagram_is_as_it_was() -> None:
    graph = graph_of("end graph", "end ~ 9-lives", graph="critical")
    assert dot(graph).splitlines() == [
        "digraph services {",
        "    rankdir=LR;",
        '    node [shape=box, style="rounded,filled"];',
        '    "9-lives" [label="9-lives\\n2/2", fillcolor="#d7f5dd", color="#1a7f37"];',
        '    "end" [label="end\\n2/2", fillcolor="#d7f5dd", color="#1a7f37"];',
        '    "graph" [label="graph\\n0/2", fillcolor="#ffdcd7", color="#cf222e"];',
        '    "end" -> "graph" [style=solid];',
        '    "end" -> "9-lives" [style=dashed];',
        "}",
    ]


_ID = r'"(?:[^"\\\n]|\\.)*"'
_HAVING = rf"\[[a-z]+=(?:[a-z]+|{_ID})(?:, [a-z]+=(?:[a-z]+|{_ID}))*\]"
DOT = re.compile(
    rf"digraph [a-z]+ \{{\n(?:    (?:rankdir=LR|node {_HAVING}|{_ID} {_HAVING}|{_ID} -> {_ID} {_HAVING});\n)*\}}"
)
MERMAID = re.compile(
    r'graph LR\n(?:    n\d+\["[^"\n]*"\]:::[a-z]+\n)*(?:    n\d+ (?:-->|-\.->) n\d+\n)*'
    r"(?:    classDef [a-z]+ [a-z]+:#[0-9a-f]{6}(?:,[a-z]+:#[0-9a-f]{6})*\n?)+"
)


@pytest.mark.parametrize("graph", [graph_of(), graph_of(a="warning"), graph_of("a a", "a ~ subgraph", "node edge")])
def test_diagrams_are_of_their_languages(graph: ServiceGraph) -> None:
    assert DOT.fullmatch(dot(graph))
    assert MERMAID.fullmatch(mermaid(graph))
