"""A reader of what a PromQL expression asks for: which metrics, by which labels. promtool sees to the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_STRING = r'"(?:[^"\\]|\\.)*"'
_MATCHER = re.compile(rf"\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*({_STRING})\s*(?:,|$)")
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {*_GROUPING, "or", "and", "unless", "bool", "offset", "vector"}


@dataclass(slots=True)
class Asked:
    """One metric as an expression asks for it: its name and its matchers, label to (operator, value)."""

    name: str
    matchers: dict[str, tuple[str, str]] = field(default_factory=dict)


def asked(expression: str) -> list[Asked]:
    """The metrics of an expression, in their order."""
    found: list[Asked] = []
    for match in re.finditer(rf"([A-Za-z_][A-Za-z0-9_:]*)\s*(\(|{{((?:{_STRING}|[^}}\"])*)}})?", _bare(expression)):
        name, follows, matchers = match.groups()
        if name in _WORDS or follows == "(":
            continue
        read = {label: (operator, value[1:-1]) for label, operator, value in _MATCHER.findall(matchers or "")}
        assert len(read) == (matchers or "").count('"') // 2, f"not read: {matchers}"
        found.append(Asked(name, read))
    assert found, f"no metric in {expression}"
    return found


def grouped(expression: str) -> set[str]:
    """The labels that an expression groups by."""
    lists = re.findall(rf"\b(?:{'|'.join(_GROUPING)})\s*\(([^)]*)\)", expression)
    return {label.strip() for each in lists for label in each.split(",")}


def _bare(expression: str) -> str:
    """The expression without ranges and groupings, and without the aggregation's name before a grouping."""
    text = re.sub(r"\[[^\]]*\]", "", expression)
    return re.sub(rf"\b(?:[a-z_]+\s+)?(?:{'|'.join(_GROUPING)})\s*\([^)]*\)", "", text)
