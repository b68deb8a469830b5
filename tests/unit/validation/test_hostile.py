"""Schemas and values made to hang, to crash, or to reach out."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hub.errors import InvalidRequest
from hub.validation import Schema

BOUND = 5.0
"""Seconds; on an idle machine everything here takes less than half of one."""


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < BOUND


def chain(links: int, keyword: str, leaf: Any, width: int = 2) -> dict[str, Any]:
    """Definitions of which each applies the next one so often."""
    definitions: dict[str, Any] = {
        f"d{link}": {keyword: [{"$ref": f"#/$defs/d{link + 1}"}] * width} for link in range(links)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{links}": leaf}}


def nested(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = {"a": value}
    return value


def unevaluated(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"properties": {"a": True}}
    for _ in range(depth):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    return schema


def recursive(keyword: str) -> dict[str, Any]:
    return {"type": ["object", "integer"], "properties": {"a": {keyword: [{"$ref": "#"}, {"$ref": "#"}]}}}


def of_a(schema: Any) -> dict[str, Any]:
    return {"properties": {"a": schema}}


LETTERS = "".join(random.Random(1).choices("ab", k=60_000))
MANY = {f"x{number}": False for number in range(800)}
BIG = {"a": ["y"] * 16_000}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "file:///etc/passwd"},
        {"$ref": "http://127.0.0.1:1/schema"},
        {"properties": {"a": {"$ref": "other.json"}}},
        {"$defs": {"unused": {"$ref": "https://example.com/"}}},
        {"$dynamicRef": "http://127.0.0.1:1/#x"},
        {"$id": "file:///etc/passwd", "$ref": "passwd"},
        {"$schema": "http://127.0.0.1:1/"},
        {"$id": "http://127.0.0.1:1/", "properties": {"a": {"$id": "b", "$ref": "#/c"}}},
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}},
        {"$dynamicAnchor": "x", "$dynamicRef": "#x"},
        {"pattern": "(?=a)b"},
        {"pattern": r"(a)\1"},
        {"pattern": "((a{1,1000}){1,1000}){1,1000}"},
        {"patternProperties": {"(?<!a)b": True}},
        {"allOf": [{"pattern": f"^.{{{length}}}a"} for length in range(500)]},
        chain(28, "allOf", {}),
        chain(12, "anyOf", {}, width=6),
        chain(900, "allOf", {}, width=1),
        unevaluated(15),
        {"enum": list(range(50_000))},
        nested(60, {}),
    ],
    ids=lambda each: repr(each)[:60] if "a" not in each else "nested",
)
def test_a_hostile_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Schema.compile(schema)
    assert refused.value.field == "schema"
    assert len(refused.value.message) < 1000


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (chain(13, "allOf", {"type": "string"}), {"a": 1}),
        (chain(13, "anyOf", {"type": "string"}), {"a": 1}),
        (chain(15, "anyOf", {"type": "string"}), {"a": 1}),
        *((recursive(keyword), nested(depth, "x")) for depth in (12, 20, 31) for keyword in ("anyOf", "allOf")),
        (of_a({"items": {"type": "integer"}}), BIG),
        (of_a({"items": {"type": "integer", "pattern": "x", "minLength": 5}}), {"a": ["y"] * 40_000}),
        ({"allOf": [{"required": ["x"]}] * 1000}, BIG),
        ({"anyOf": [{"required": ["x"]}] * 1000}, BIG),
        (of_a({"items": {"enum": [[1, [option]] for option in range(2500)]}}), {"a": [[1, [0]], [2]] * 8000}),
        (of_a({"items": {"enum": [f"x{option}" for option in range(3000)]}}), BIG),
        (of_a({"items": {"const": "x" * 30_000}}), BIG),
        (of_a({"items": {"not": {"enum": ["y", *map(str, range(3000))]}}}), BIG),
        (unevaluated(13), {"a": 1, "b": 2}),
        (of_a({"pattern": "(a+)+$"}), {"a": "a" * 60_000 + "!"}),
        (of_a({"pattern": "^(?:a|b|ab|ba|[ab]{1,1600})*c$"}), {"a": LETTERS}),
        (of_a({"pattern": "^(?:a|b|ab|ba|[ab]{1,1600})*c$"}), {"a": LETTERS[:12_000]}),
        (of_a({"pattern": "[ab]*a[ab]{400}c"}), {"a": LETTERS}),
        ({"patternProperties": {f"x.{{{n}}}y": False for n in range(100)}}, {str(n): n for n in range(9000)}),
        (of_a({"items": {"multipleOf": 1e-308}, "maxItems": 0}), {"a": [1e308] * 18_000}),
        (of_a({"multipleOf": 1e-300}), {"a": 10**4000}),
        (of_a({"multipleOf": 0.1}), {"a": float("inf")}),
        (of_a({"uniqueItems": True, "maxItems": 0}), {"a": list(range(12_000))}),
        (of_a({"uniqueItems": True, "maxItems": 0}), {"a": [{"a": [n]} for n in range(12_000)]}),
        (of_a({"uniqueItems": True, "maxItems": 0}), {"a": [n / 2 for n in range(12_000)]}),
        (of_a({"uniqueItems": True}), {"a": [[0] * 20_000, [0] * 20_000]}),
        ({"additionalProperties": False}, {f"x{n}": n for n in range(6000)}),
        (of_a({"prefixItems": [{"type": "string"}] * 1000, "items": {"type": "string"}}), {"a": [1] * 16_000}),
        ({"additionalProperties": {"dependentSchemas": MANY}}, {str(n): {"x1": 1} for n in range(4000)}),
        ({}, nested(2000, 1)),
        ({}, {1: 2}),
        ({}, {"\ud800": 1}),
        ({}, {"a": "\udfff"}),
        ({}, {"a": object()}),
        ({}, {"a": float("nan")}),
        ({}, {"a": 10**5000}),
        ({"minProperties": 2**70}, {"a": 1}),
    ],
    ids=lambda _: "",
)  # fmt: skip
def test_hostile_values_are_not_valid_and_told_so_in_time(schema: dict[str, Any], values: dict[str, Any]) -> None:
    found = Schema.compile(schema).violations(values)
    assert 1 <= len(found) <= 50
    assert all(len(each.expected) <= 300 and len(each.got) <= 80 for each in found)


def test_values_that_contain_themselves_are_not_valid() -> None:
    values: dict[str, Any] = {}
    values["a"] = values["b"] = values
    [violation] = Schema.compile({}).violations(values)
    assert violation.expected == "values nested at most 32 deep"
    with pytest.raises(InvalidRequest):
        Schema.compile(values)


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (of_a({"items": {"enum": list(map(str, range(3000)))}, "uniqueItems": False}), {"a": ["5"] * 16_000}),
        (of_a({"additionalProperties": {"properties": MANY}}), {"a": {str(n): {"5": n} for n in range(4000)}}),
        (of_a({"items": {"pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}}), {"a": ["a-name-of-20-letters"] * 3000}),
        (of_a({"items": {"allOf": [{"$ref": "#/$defs/x"}]}}) | {"$defs": {"x": {"maximum": 9}}}, {"a": [1] * 16_000}),
    ],
    ids=lambda _: "",
)  # fmt: skip
def test_large_values_of_a_plain_schema_are_valid(schema: dict[str, Any], values: dict[str, Any]) -> None:
    assert Schema.compile(schema).violations(values) == ()
