"""Secrets: a reference to one is as good as a string, and none is shown."""

from __future__ import annotations

from typing import Any

import pytest

from hub.validation import Schema

SECRET = {"$secret": "database"}
LONG = {"type": "string", "minLength": 500, "pattern": "^x"}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string"},
        {"type": ["string", "null"]},
        LONG,
        {"type": "string", "maxLength": 1},
        {"enum": ["a", "b"]},
        {"const": "a"},
        {"enum": ["a", None]},
        {"anyOf": [{"type": "null"}, LONG]},
        {"oneOf": [{"type": "object"}, LONG]},
        {"oneOf": [{"const": "a"}, {"const": "b"}]},
        {"allOf": [LONG, {"enum": ["a"]}]},
        {"not": {"const": "admin"}},
        {"not": {"enum": ["admin", "root"]}},
        {"$ref": "#/$defs/long"},
        {"if": {"type": "string"}, "then": LONG},
    ],
)
def test_a_reference_passes_wherever_a_string_is_expected(schema: dict[str, Any]) -> None:
    whole = {"properties": {"it": schema}, "unevaluatedProperties": False, "$defs": {"long": LONG}}
    compiled = Schema.compile(whole)
    assert compiled.violations({"it": SECRET}) == ()
    assert Schema.compile({"items": schema, "$defs": {"long": LONG}}).violations({"it": [SECRET]}) == ()


@pytest.mark.parametrize(
    "schema",
    [{"type": "number"}, {"type": "object"}, {"enum": [1, 2]}, {"const": None}, {"anyOf": [{"type": "null"}]}, False],
)
def test_a_reference_does_not_pass_for_anything_else(schema: Any) -> None:
    [violation] = Schema.compile({"properties": {"it": schema}}).violations({"it": SECRET})
    assert (violation.path, violation.got) == ("/it", '{"$secret":"database"}')


def test_a_value_beside_a_reference_is_checked_as_strictly_as_ever() -> None:
    compiled = Schema.compile({"additionalProperties": LONG})
    [short, pattern] = compiled.violations({"a": SECRET, "b": "y"})
    assert (short.path, short.expected) == ("/b", "a string of at least 500 characters")
    assert (pattern.path, pattern.expected) == ("/b", "a string that matches '^x'")
    many = Schema.compile({"additionalProperties": {"oneOf": [{"const": "a"}, {"const": "b"}]}})
    values: dict[str, Any] = {f"k{number:03}": SECRET for number in range(60)}
    assert [each.path for each in many.violations({**values, "z": 1}, limit=1)] == ["/z"]


@pytest.mark.parametrize("almost", [{"$secret": 1}, {"$secret": "a", "b": 1}, {"secret": "a"}])
def test_what_only_looks_like_a_reference_is_none(almost: dict[str, Any]) -> None:
    assert Schema.compile({"properties": {"it": {"type": "string"}}}).violations({"it": almost}) != ()


HIDDEN = "hunter2"


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"properties": {"password": {"type": "integer"}}}, {"password": HIDDEN}),
        ({"properties": {"it": {"type": "integer", "writeOnly": True}}}, {"it": HIDDEN}),
        ({"properties": {"it": {"writeOnly": True}}, "required": ["x"]}, {"it": HIDDEN}),
        ({"properties": {"it": {"writeOnly": True}}, "required": ["x"]}, {"it": {"deep": [HIDDEN]}}),
        ({"properties": {"it": {"writeOnly": True, "items": {"type": "null"}}}}, {"it": [HIDDEN]}),
        ({"properties": {"it": {"$ref": "#w"}}, "not": {"$anchor": "w", "writeOnly": True}}, {"it": HIDDEN}),
        ({"properties": {"it": {"items": {"writeOnly": True}, "maxItems": 0}}}, {"it": [HIDDEN]}),
        ({"properties": {"it": {"prefixItems": [{"writeOnly": True}], "maxItems": 0}}}, {"it": [HIDDEN]}),
        ({"patternProperties": {"^i": {"writeOnly": True, "type": "null"}}}, {"it": HIDDEN}),
        ({"additionalProperties": {"writeOnly": True, "type": "null"}}, {"it": HIDDEN}),
        ({"anyOf": [{"properties": {"it": {"writeOnly": True, "type": "null"}}}]}, {"it": HIDDEN}),
        ({"writeOnly": True, "required": ["x"]}, {"it": HIDDEN}),
        ({"additionalProperties": False}, {"api_token": HIDDEN}),
        ({"required": ["x"]}, {"tls": [{"private-key": HIDDEN}]}),
        ({"required": ["x"]}, {"url": f"postgresql://hub:{HIDDEN}@db/hub"}),
        ({"maxProperties": 0}, {"text": "x" * 30 + f" nats://hub:{HIDDEN}" + "y" * 50 + "@db/hub"}),
    ],
)  # fmt: skip
def test_no_secret_is_shown(schema: dict[str, Any], values: dict[str, Any]) -> None:
    found = Schema.compile(schema).violations(values)
    assert found
    assert HIDDEN not in str(found)
    assert all("***" in each.got for each in found)
