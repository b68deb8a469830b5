"""The graph of services as text for programs that draw: Mermaid and Graphviz."""

from __future__ import annotations

from typing import Final

from hub.wire.graph import GraphService, ServiceGraph
from hub.wire.names import CRITICAL, PASSING, WARNING

_COLOURS: Final = {
    PASSING: ("#d7f5dd", "#1a7f37"),
    WARNING: ("#fff3c4", "#9a6700"),
    CRITICAL: ("#ffdcd7", "#cf222e"),
}
"""For each status, what a node is filled with, and drawn with."""


def mermaid(graph: ServiceGraph) -> str:
    """The graph in Mermaid's language. Nodes are numbered, since `end` and its like are words of that language."""
    number = {service.name: f"n{place}" for place, service in enumerate(graph.services)}
    lines = ["graph LR"]
    lines += [f'    {number[each.name]}["{each.name}<br/>{_counts(each)}"]:::{each.status}' for each in graph.services]
    for edge in graph.edges:
        if edge.source in number and edge.target in number:
            arrow = "-->" if edge.declared else "-.->"
            lines.append(f"    {number[edge.source]} {arrow} {number[edge.target]}")
    for status, (fill, line) in _COLOURS.items():
        lines.append(f"    classDef {status} fill:{fill},stroke:{line},color:#1f2328")
    return "\n".join(lines)


def dot(graph: ServiceGraph) -> str:
    """The graph in Graphviz's language."""
    lines = ["digraph services {", "    rankdir=LR;", '    node [shape=box, style="rounded,filled"];']
    for service in graph.services:
        fill, line = _COLOURS[service.status]
        label = _quoted(f"{service.name}\n{_counts(service)}")
        lines.append(f'    {_quoted(service.name)} [label={label}, fillcolor="{fill}", color="{line}"];')
    for edge in graph.edges:
        style = "solid" if edge.declared else "dashed"
        lines.append(f"    {_quoted(edge.source)} -> {_quoted(edge.target)} [style={style}];")
    return "\n".join([*lines, "}"])


def _counts(service: GraphService) -> str:
    return f"{service.passing}/{service.instances}"


def _quoted(text: str) -> str:
    """A text in quotes. A name needs them for its hyphens, or for being a word of the language, as `graph` is."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
