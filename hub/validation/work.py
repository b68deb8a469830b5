"""What checking a value by a schema will cost, found out before it is done; and on the way, what must not be shown.

A small schema can ask for endless work: a chain of definitions in which each applies the next one twice doubles with
every link. So the schemas that meet at each place of the value are counted first, the same pair never twice, and what
would go over the bound is not checked at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import msgspec

from hub.validation.document import Document, Node, refused
from hub.validation.values import Extent
from hub.wire.secrets import is_reference

MAX_WORK: Final = 20_000_000
"""Steps of about 10 ns, as measured, always on the high side."""
MAX_MEETINGS: Final = 100_000
"""Pairs of a schema and a place in the value."""
MAX_BROUGHT: Final = 50_000
"""Schemas that the schemas of a document bring in for the same value, in all."""
MAX_FINDINGS: Final = 50_000
"""Complaints of the engine, in those that take it 4 us. It makes all of them, each with a copy of what it is about."""

_REPEATED = 3
"""How often a schema with `unevaluated...` has those checked that it brings in, as measured."""
_KEYWORD = 3
_MULTIPLE_OF = 3000
_OPTION = 20
_ASSERTIONS = {
    str: ("minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"),
    float: ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    list: ("minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"),
    dict: ("required", "dependentRequired", "minProperties", "maxProperties", "additionalProperties"),
}
_COPIED = ("enum", "const", "not")
"""Each complaint has a copy of what these say."""
_ANY = ("type", "enum", "const", "not", "anyOf", "oneOf")


class TooMuch(Exception):
    """Checking the value by the schema could take too long."""


@dataclass(slots=True)
class Plan:
    """What a schema applies to one value, with all that it brings in, each with how often."""

    fixed: int = 0
    """Steps for any value."""
    per_node: int = 0
    """Steps for each part of the value: comparing whole lists and objects."""
    per_character: int = 0
    per_number: int = 0
    per_name: int = 0
    """Steps for each character in the names of the members."""
    findings: dict[type, int] = field(default_factory=lambda: dict.fromkeys((str, float, list, dict), 0))
    write_only: bool = False
    chain: int = 0
    parts: list[tuple[Node, int]] = field(default_factory=list)
    """The schemas that look deeper into the value."""
    properties: dict[str, list[tuple[Node, int]]] = field(default_factory=dict)
    """What they have for members by name."""
    looser: list[tuple[Node, int]] = field(default_factory=list)
    """Those of them that have something for members by other means than their name."""


@dataclass(slots=True)
class Reach:
    """What was found out."""

    findings: int = 0
    """How many complaints there can be."""
    hidden: set[tuple[int, str | int]] = field(default_factory=set)
    """Members, by the identity of their container and their key, that are write-only."""
    all_hidden: bool = False


class Work:
    """The work that the schemas of one document ask for."""

    def __init__(self, document: Document) -> None:
        """Plan for every schema in the document.

        Raises:
            InvalidRequest: one asks for too much whatever the value is.
        """
        self._document = document
        self._plans: dict[Node, Plan] = {}
        brought = 0
        for start in document.nodes.values():
            plan = self._plans[start] = Plan(chain=start.chain)
            applied = _brought_in(start)
            brought += len(applied)
            for node, times in applied.items():
                self._add(plan, node, times)
            if plan.fixed > MAX_WORK or brought > MAX_BROUGHT:
                raise refused(start.place, "a schema that applies fewer others to one value ('$ref', 'allOf' ...)")

    def reach(self, values: Any, extent: Extent) -> Reach:
        """Look ahead on checking these values.

        Raises:
            TooMuch: it could take too long.
        """
        walk = _Walk(self, extent)
        _, walk.reach.findings = walk.visit(self._document.root, values, 0)
        walk.reach.all_hidden = self.plan(self._document.root).write_only
        return walk.reach

    def plan(self, start: Node) -> Plan:
        """What this schema applies in place."""
        return self._plans[start]

    def _add(self, plan: Plan, node: Node, times: int) -> None:
        schema = node.schema
        for value in (schema.get("enum"), schema.get("const")):
            options = value if isinstance(value, list) else [value]
            if any(isinstance(option, dict | list) for option in options):
                plan.per_node += times * _OPTION * len(options)
        plan.fixed += times * (_KEYWORD * (1 + len(schema)) + len(schema.get("required", ())))
        if "pattern" in schema:
            plan.per_character += times * self._document.patterns[schema["pattern"]].work
        plan.per_name += times * sum(pattern.work for pattern, _ in node.patterns)
        plan.per_number += times * _MULTIPLE_OF * ("multipleOf" in schema)
        plan.per_node += times * 10 * ("uniqueItems" in schema)
        for kind, keywords in _ASSERTIONS.items():
            plan.findings[kind] += times * (node.never + sum(keyword in schema for keyword in (*keywords, *_ANY)))
            plan.findings[kind] += times * sum(_extent(schema[keyword]) for keyword in _COPIED if keyword in schema)
        plan.findings[dict] += times * len(schema.get("required", ()))
        plan.findings[dict] += times * sum(map(len, schema.get("dependentRequired", {}).values()))
        plan.write_only |= schema.get("writeOnly") is True
        deeper = times * _repeated(schema)
        if node.properties or node.patterns or node.others or node.items or node.prefix or node.names:
            plan.parts.append((node, deeper))
        for name, inner in node.properties.items():
            plan.properties.setdefault(name, []).append((inner, deeper))
        if node.patterns or node.others:
            plan.looser.append((node, deeper))


class _Walk:
    """One look ahead."""

    def __init__(self, work: Work, extent: Extent) -> None:
        self.reach = Reach()
        self._plan = work.plan
        self._extent = extent
        self._known: dict[tuple[Node, int], tuple[int, int]] = {}
        self._meetings = 0

    def visit(self, node: Node, value: Any, depth: int) -> tuple[int, int]:
        """The steps that the value takes by this schema, and the complaints that there can be."""
        key = (node, id(value))
        if key in self._known:
            return self._known[key]
        plan = self._plan(node)
        size = self._extent.size(value)
        self._count(1 + len(plan.parts))
        work, findings = self._own(plan, value, size, depth)
        _bound(work)
        for inner, times, member in self._deeper(plan, value):
            deeper, more = self.visit(inner, member, depth + 1)
            work += times * deeper
            findings += times * more
            _bound(work)
        if isinstance(value, dict | list):
            self._known[key] = work, findings
        return work, findings

    def _own(self, plan: Plan, value: Any, size: int, depth: int) -> tuple[int, int]:
        work = plan.fixed + plan.per_node * size
        kind: type = float
        if isinstance(value, str):
            kind, work = str, work + plan.per_character * (len(value) + 1)
        elif isinstance(value, dict):
            kind = dict if not is_reference(value) else str
            work += plan.per_name * sum(len(name) + 1 for name in value) if plan.per_name else 0
        elif isinstance(value, list):
            kind = list
        else:
            work += plan.per_number
        weight = 1 + size // 50 + (depth + 1) * (1 + plan.chain) // 8
        return work, plan.findings[kind] * weight

    def _deeper(self, plan: Plan, value: Any) -> Iterator[tuple[Node, int, Any]]:
        """What meets the parts of the value: each schema, how often, and the part."""
        if isinstance(value, dict) and not is_reference(value):
            yield from self._members(plan, value)
        elif isinstance(value, list):
            yield from self._items(plan, value)

    def _members(self, plan: Plan, value: dict[str, Any]) -> Iterator[tuple[Node, int, Any]]:
        for name, member in value.items():
            for inner, times in chain(plan.properties.get(name, ()), self._by_other_means(plan, name)):
                if self._plan(inner).write_only:
                    self.reach.hidden.add((id(value), name))
                yield inner, times, member
            for node, times in plan.parts:
                for inner in node.names:
                    yield inner, times, name

    def _by_other_means(self, plan: Plan, name: str) -> Iterator[tuple[Node, int]]:
        """The schemas for a member that are not found by its name."""
        for node, times in plan.looser:
            self._count(1 + len(node.patterns))
            found = [inner for pattern, inner in node.patterns if pattern.matches(name)]
            if not found and name not in node.properties:
                found = node.others
            yield from ((inner, times) for inner in found)

    def _items(self, plan: Plan, value: list[Any]) -> Iterator[tuple[Node, int, Any]]:
        for node, times in plan.parts:
            everywhere = ((inner, index) for inner in node.items for index in range(len(value)))
            for inner, index in chain(zip(node.prefix, range(len(value)), strict=False), everywhere):
                if self._plan(inner).write_only:
                    self.reach.hidden.add((id(value), index))
                yield inner, times, value[index]

    def _count(self, meetings: int) -> None:
        self._meetings += meetings
        if self._meetings > MAX_MEETINGS:
            raise TooMuch


def _extent(value: Any) -> int:
    """How much it is to copy, in complaints."""
    return len(msgspec.json.encode(value)) // 200


def _bound(work: int) -> None:
    if work > MAX_WORK:
        raise TooMuch


def _repeated(schema: dict[str, Any]) -> int:
    return _REPEATED if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1


def _brought_in(start: Node) -> dict[Node, int]:
    """The schema and all that it brings in for the same value, with how often each is applied."""
    order: list[Node] = []
    seen: set[Node] = set()
    _after_what_they_bring(start, seen, order)
    times = dict.fromkeys(reversed(order), 0)
    times[start] = 1
    for node in times:
        for inner in node.in_place:
            times[inner] += times[node] * _repeated(node.schema)
    return times


def _after_what_they_bring(node: Node, seen: set[Node], order: list[Node]) -> None:
    seen.add(node)
    for inner in node.in_place:
        if inner not in seen:
            _after_what_they_bring(inner, seen, order)
    order.append(node)
