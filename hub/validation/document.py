"""A JSON Schema read for its shape: which schema in it applies where, and that it stays within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from hub.errors import InvalidRequest
from hub.validation.engine import Pattern, Refused
from hub.validation.shown import shown

MAX_PATTERNS: Final = 100
MAX_CHAIN: Final = 32
"""How many schemas one may bring in, one by the other (`$ref`, `allOf` ...), before they look deeper into the value."""
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

_LONGEST = 200
_IN_PLACE = ("not", "if", "then", "else")
_ASKING = (("not",), ("if",))
_IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_MEMBERS = ("additionalProperties", "unevaluatedProperties")
_ITEMS = ("items", "contains", "unevaluatedItems")
_ELSEWHERE = ("contentSchema",)
_ONE = (*_IN_PLACE, *_MEMBERS, *_ITEMS, *_ELSEWHERE, "propertyNames")
_MANY = (*_IN_PLACE_LISTS, "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")


class Node:
    """One schema in the document, with the schemas that it applies."""

    def __init__(self, schema: dict[str, Any] | bool, place: tuple[str, ...]) -> None:
        self.schema: dict[str, Any] = schema if isinstance(schema, dict) else {}
        self.never = schema is False
        self.place = place
        self.in_place: list[Node] = []
        """Applied to the same value: `$ref`, `allOf`, `if` ..."""
        self.properties: dict[str, Node] = {}
        self.patterns: list[tuple[Pattern, Node]] = []
        self.others: list[Node] = []
        """Applied to members that have no schema by their name."""
        self.names: list[Node] = []
        """Applied to the names of the members."""
        self.prefix: list[Node] = []
        self.items: list[Node] = []
        self.asks = False
        """Whether it is within an `if` or a `not`: it asks what a value is, rather than wants it."""
        self.chain = 0
        """The longest way through schemas in place."""

    @property
    def pointer(self) -> str:
        """Where it stands in the document."""
        return _pointer(self.place)


class Document:
    """A schema that was read. Every `$ref` in it points into it."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Read it; it is valid by the meta-schema, and moderate in size and depth.

        Raises:
            InvalidRequest: it refers to what is not in it, or to itself without end, or has too many patterns.
        """
        self.nodes: dict[tuple[str, ...], Node] = {}
        self.patterns: dict[str, Pattern] = {}
        self._anchors: dict[str, Node] = {}
        self.root = self._read(schema, ())
        for node in self.nodes.values():
            self._connect(node)
        _measure_chains(self.nodes.values())

    def describes(self, name: str) -> bool:
        """Whether a schema that applies to all of the value has a property by this name, or requires it."""
        seen, rest = {self.root}, [self.root]
        while rest:
            node = rest.pop()
            required = node.schema.get("required")
            if name in node.properties or (isinstance(required, list) and name in required):
                return True
            rest += (inner := set(node.in_place) - seen)
            seen |= inner
        return False

    def target(self, node: Node, keyword: str) -> Node | None:
        """What a `$ref` or `$dynamicRef` of the schema points at; None where it has none.

        Raises:
            InvalidRequest: it points out of the document, or at nothing in it.
        """
        reference = node.schema.get(keyword)
        if reference is None:
            return None
        at = (*node.place, keyword)
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise refused(at, f"a reference into this schema ('#...'; nothing is fetched), got {shown(reference)}")
        fragment = unquote(reference[1:])
        if fragment and not fragment.startswith("/"):
            found = self._anchors.get(fragment)
        else:
            steps = fragment.split("/")[1:]
            found = self.nodes.get(tuple(step.replace("~1", "/").replace("~0", "~") for step in steps))
        if found is None:
            raise refused(at, f"a reference to a schema that is there, got {shown(reference)}")
        return found

    def _read(self, schema: Any, place: tuple[str, ...], asks: bool = False) -> Node:
        if not isinstance(schema, dict | bool):
            raise refused(place, f"a schema: an object, true or false, got {shown(schema)}")
        node = self.nodes[place] = Node(schema, place)
        node.asks = asks
        if place:
            for keyword in ("$id", "$schema"):
                if keyword in node.schema:
                    raise refused((*place, keyword), "it only at the root")
        for keyword in ("$anchor", "$dynamicAnchor"):
            anchor = node.schema.get(keyword)
            if isinstance(anchor, str) and self._anchors.setdefault(anchor, node) is not node:
                raise refused((*place, keyword), f"an anchor of its own, got {shown(anchor)} again")
        for path, inner in _within(node.schema):
            self._read(inner, (*place, *path), asks or path in _ASKING)
        return node

    def _connect(self, node: Node) -> None:
        """Give a schema the others that it applies."""
        schema, at = node.schema, self.nodes
        for keyword in ("$ref", "$dynamicRef"):
            target = self.target(node, keyword)
            if target:
                node.in_place.append(target)
        for keywords, into in ((_IN_PLACE, node.in_place), (_MEMBERS, node.others), (_ITEMS, node.items)):
            into += [at[*node.place, keyword] for keyword in keywords if keyword in schema]
        for keyword in _IN_PLACE_LISTS:
            node.in_place += [at[*node.place, keyword, str(n)] for n in range(len(schema.get(keyword, ())))]
        node.in_place += [at[*node.place, "dependentSchemas", name] for name in schema.get("dependentSchemas", ())]
        node.prefix = [at[*node.place, "prefixItems", str(n)] for n in range(len(schema.get("prefixItems", ())))]
        node.properties = {name: at[*node.place, "properties", name] for name in schema.get("properties", ())}
        node.patterns = [
            (self._pattern(text, (*node.place, "patternProperties")), at[*node.place, "patternProperties", text])
            for text in schema.get("patternProperties", ())
        ]
        node.names = [at[*node.place, "propertyNames"]] if "propertyNames" in schema else []
        if isinstance(schema.get("pattern"), str):
            self._pattern(schema["pattern"], (*node.place, "pattern"))

    def _pattern(self, text: str, place: tuple[str, ...]) -> Pattern:
        if text not in self.patterns:
            if len(self.patterns) == MAX_PATTERNS:
                raise refused(place, f"at most {MAX_PATTERNS} different patterns in all")
            try:
                self.patterns[text] = Pattern(text)
            except Refused:
                expected = "a moderate regular expression without lookaround and backreferences"
                raise refused(place, f"{expected}, got {shown(text)}") from None
        return self.patterns[text]


def refused(place: tuple[str, ...], expected: str) -> InvalidRequest:
    """The error for what is wrong at a place in a schema."""
    return InvalidRequest(f"schema{_pointer(place)[:_LONGEST]}: expected {expected}", field="schema")


def _pointer(place: tuple[str, ...]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in place)


def _within(schema: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The schemas in a schema, each with its way from there."""
    for keyword in _ONE:
        if keyword in schema:
            yield (keyword,), schema[keyword]
    for keyword in _MANY:
        if isinstance(schema.get(keyword), list):
            yield from (((keyword, str(n)), inner) for n, inner in enumerate(schema[keyword]))
    for keyword in _NAMED:
        if isinstance(schema.get(keyword), dict):
            yield from (((keyword, name), inner) for name, inner in schema[keyword].items())


def _measure_chains(nodes: Iterator[Node] | Any) -> None:
    """Find the longest chain in place from every schema.

    Raises:
        InvalidRequest: a schema comes back to itself without looking deeper into the value, or by too long a way.
    """
    done: set[Node] = set()
    for start in nodes:
        on_the_way: dict[Node, Iterator[Node]] = {start: iter(start.in_place)} if start not in done else {}
        while on_the_way:
            node, rest = next(reversed(on_the_way.items()))
            inner = next(rest, None)
            if inner is None:
                node.chain = max((each.chain + 1 for each in node.in_place), default=0)
                if node.chain > MAX_CHAIN:
                    raise refused(node.place, f"at most {MAX_CHAIN} schemas in a row ('$ref', 'allOf' ...)")
                done.add(node)
                del on_the_way[node]
            elif inner in on_the_way:
                raise refused(inner.place, "a schema that does not refer to itself for the same value")
            elif inner not in done:
                on_the_way[inner] = iter(inner.in_place)
