"""What a schema refuses, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import InvalidRequest
from hub.validation import MAX_BYTES, Schema


def told(schema: dict[str, Any], values: dict[str, Any], limit: int = 50) -> list[tuple[str, str, str]]:
    """Every violation as path, expected, got."""
    return [(each.path, each.expected, each.got) for each in Schema.compile(schema).violations(values, limit)]


def of(schema: dict[str, Any], value: Any) -> list[tuple[str, str]]:
    """What is expected of one property and what is got, as path below it and words."""
    found = told({"properties": {"it": schema}}, {"it": value})
    assert all(path.startswith("/it") for path, _, _ in found)
    return [(path.removeprefix("/it"), expected) for path, expected, _ in found]


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "string"}, 1, "a string"),
        ({"type": ["string", "null"]}, 1, "null or a string"),
        ({"type": "boolean"}, 1, "true or false"),
        ({"type": "array"}, 1, "a list"),
        ({"minimum": 1}, 0, "a number of at least 1"),
        ({"maximum": 10}, 11, "a number of at most 10"),
        ({"exclusiveMinimum": 1}, 1, "a number greater than 1"),
        ({"exclusiveMaximum": 1.5}, 1.5, "a number less than 1.5"),
        ({"multipleOf": 5}, 4, "a multiple of 5"),
        ({"minLength": 2}, "x", "a string of at least 2 characters"),
        ({"maxLength": 1}, "xx", "a string of at most 1 character"),
        ({"pattern": "^[0-9]+$"}, "x", "a string that matches '^[0-9]+$'"),
        ({"enum": ["a", 1, None]}, "b", "one of 'a', 1, null"),
        ({"enum": ["a"]}, "b", "'a'"),
        ({"enum": []}, "b", "nothing: no value is allowed"),
        ({"const": {"x": [1]}}, "b", '{"x":[1]}'),
        ({"minItems": 1}, [], "a list of at least 1 item"),
        ({"maxItems": 1}, [1, 2], "a list of at most 1 item"),
        ({"uniqueItems": True}, [1, 1.0], "a list in which nothing is twice"),
        ({"contains": {"const": 5}}, [1], "a list with items as 'contains' in the schema wants them"),
        ({"prefixItems": [True], "unevaluatedItems": False}, [1, 2], "a list without further items"),
        ({"minProperties": 1}, {}, "an object of at least 1 property"),
        ({"maxProperties": 2}, {"a": 1, "b": 2, "c": 3}, "an object of at most 2 properties"),
        ({"required": ["x"]}, {}, "the property 'x'"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "the property 'b'"),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1}, "the property 'b'"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, "the property 'b'"),
        ({"not": {"type": "null"}}, None, 'anything but what fits {"type":"null"}'),
        ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, 'each name to be a string of at most 1 character, got "ab"'),
        (False, 1, "nothing: no value is allowed here"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "a string, or null"),
        ({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 5}]}, 1, "a number of at least 5"),
        ({"anyOf": [{"anyOf": [{"type": "null"}, {"type": "array"}]}, {"type": "string"}]}, 1, "null, or a list"),
        ({"oneOf": [True, {"type": "integer"}, False]}, 1, "what exactly one of 3 alternatives allows, not 1 and 2"),
        ({"oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]}, "c", "'a', or 'b'"),
    ],
)  # fmt: skip
def test_a_violation_says_what_is_expected_in_words(schema: Any, value: Any, expected: str) -> None:
    assert of(schema, value) == [("", expected)]


def test_every_violation_is_told_at_once() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "number", "maximum": 10}, "m": {"enum": ["x", "y"]}},
        "additionalProperties": False,
        "required": ["q"],
    }
    assert set(told(schema, {"a": 11, "m": "z", "b": [1]})) == {
        ("/a", "a number of at most 10", "11"),
        ("/m", "one of 'x', 'y'", '"z"'),
        ("/b", "no property 'b' (there are 'a', 'm')", "[1]"),
        ("", "the property 'q'", '{"a":11,"m":"z","b":[1]}'),
    }


def test_of_alternatives_told_apart_by_a_constant_only_the_one_that_is_meant_is_told() -> None:
    shapes = [
        {"properties": {"kind": {"const": "file"}, "path": {"type": "string"}}, "required": ["path"]},
        {"properties": {"kind": {"const": "net"}, "port": {"type": "integer"}}, "required": ["port"]},
    ]
    assert of({"oneOf": shapes}, {"kind": "net", "port": "x"}) == [("/port", "an integer")]
    assert of({"oneOf": shapes}, {"kind": "pipe"}) == [("", "'file' at /kind, or 'net' at /kind")]


@pytest.mark.parametrize("value", [1, [], {}, {"x": 1}, None])
def test_where_nothing_is_allowed_neither_is_what_has_an_empty_name(value: Any) -> None:
    assert told({"additionalProperties": False}, {"": value})


@pytest.mark.parametrize("keyword", ["additionalProperties", "unevaluatedProperties"])
@pytest.mark.parametrize("known", [{}, {"properties": {"a": True}}])
def test_a_property_that_must_not_be_is_named(keyword: str, known: dict[str, Any]) -> None:
    [(path, expected, got)] = told({keyword: False, **known}, {"a": 1, "b": 2} if known else {"b": 2})
    assert (path, got) == ("/b", "2")
    assert expected.startswith("no property 'b'")


def test_a_property_called_like_a_keyword_is_not_taken_for_it() -> None:
    schema = {"properties": {"additionalProperties": False}}
    assert told(schema, {"additionalProperties": {"x": 1}}) == [
        ("/additionalProperties", "nothing: no value is allowed here", '{"x":1}')
    ]


@pytest.mark.parametrize("name", ["0", "007", "+5", "", "a/b", "a~b", "-1", "9" * 25, "１"])
def test_a_place_is_told_right_whatever_its_name(name: str) -> None:
    inner = {"additionalProperties": {"type": "string"}}
    expected = "/x/" + name.replace("~", "~0").replace("/", "~1")
    assert told({"properties": {"x": inner}}, {"x": {name: 5}}) == [(expected, "a string", "5")]
    assert told({"properties": {"x": {"items": inner}}}, {"x": [{}, {name: 5}]}) == [
        (expected.replace("/x/", "/x/1/", 1), "a string", "5")
    ]


def test_what_was_got_is_cut_where_it_is_long() -> None:
    [(_, _, got)] = told({"properties": {"a": {"type": "null"}}}, {"a": ["x" * 30] * 1000})
    assert len(got) == 80
    assert got.endswith("...")


def test_no_more_is_told_than_is_asked_for() -> None:
    schema = {"additionalProperties": {"type": "string"}}
    values = {f"k{number}": number for number in range(100)}
    assert len(told(schema, values)) == 50
    assert len(told(schema, values, limit=3)) == 3
    assert len(told(schema, values, limit=0)) == 1, "not none: they are not valid"


def test_an_answer_is_bounded_however_long_the_names_are() -> None:
    name = "n" * 20_000
    schema = {"additionalProperties": {"additionalProperties": {"type": "string"}}}
    assert len(told(schema, {name: {str(number): number for number in range(50)}})) == 2


def test_format_is_a_note_to_readers() -> None:
    assert told({"properties": {"url": {"format": "uri"}}}, {"url": "no url"}) == []


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "text"}, "schema/type: expected what a JSON Schema (draft 2020-12) has there"),
        ({"properties": {"a": {"minimum": "1"}}}, "schema/properties/a/minimum: expected what"),
        ({"properties": []}, "schema/properties: expected what"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "schema/$schema: expected 'https://json-schema.org/draft/"),
        ({"$ref": "#/$defs/nowhere"}, "schema/$ref: expected a reference to a schema that is there"),
        ({"$ref": "#nowhere"}, "schema/$ref: expected a reference to a schema that is there"),
        ({"x": {"type": "string"}, "$ref": "#/x"}, "schema/$ref: expected a reference to a schema that is there"),
        ({"$defs": {"a": {"$id": "https://example.com/a"}}}, "schema/$defs/a/$id: expected it only at the root"),
        ({"$anchor": "a", "$defs": {"b": {"$anchor": "a"}}}, "schema/$defs/b/$anchor: expected an anchor of its own"),
        ({"title": "x" * MAX_BYTES}, f"schema: expected at most {MAX_BYTES} bytes as JSON, got "),
        ({"properties": {"a": {"pattern": "("}}}, "schema/properties/a/pattern: expected a moderate regular"),
        ({"title": float("nan")}, "schema/title: expected a finite number"),
        ({"title": "\ud800"}, "schema/title: expected a string of Unicode"),
        ({1: 2}, "schema: expected names that are strings"),
        ({"title": object()}, "schema/title: expected JSON, got object"),
    ],
)  # fmt: skip
def test_what_is_no_schema_is_refused_with_its_place(schema: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Schema.compile(schema)
    assert refused.value.message.startswith(message)
    assert refused.value.field == "schema"


def test_references_within_the_schema_are_followed() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.com/settings.json",
        "properties": {
            "a": {"$ref": "#/$defs/odd~1name"},
            "b": {"$ref": "#port"},
            "tree": {"$ref": "#/$defs/tree"},
        },
        "$defs": {
            "odd/name": {"type": "string"},
            "port": {"$anchor": "port", "type": "integer"},
            "tree": {"additionalProperties": {"$ref": "#/$defs/tree"}, "type": "object"},
        },
    }
    values = {"a": 1, "b": "x", "tree": {"left": {"right": 5}}}
    assert {path for path, _, _ in told(schema, values)} == {"/a", "/b", "/tree/left/right"}


def test_a_schema_is_copied() -> None:
    given: dict[str, Any] = {"properties": {"a": {"default": {"b": 1}, "type": "object"}}}
    schema = Schema.compile(given)
    given["properties"].clear()
    schema.defaults()["a"]["b"] = 2
    assert schema.defaults() == {"a": {"b": 1}}
    assert schema.violations({"a": 1}) != ()


@pytest.mark.parametrize(
    ("schema", "describes"),
    [
        ({}, False),
        ({"properties": {"other": {"properties": {"flags": {}}}}, "additionalProperties": False}, False),
        ({"patternProperties": {".*": {"type": "number"}}}, False),
        ({"properties": {"flags": {}}}, True),
        ({"required": ["flags"]}, True),
        ({"$defs": {"x": {"properties": {"flags": {}}}}}, False),
        ({"$defs": {"x": {"allOf": [{"properties": {"flags": {}}}]}}, "$ref": "#/$defs/x"}, True),
    ],
)
def test_a_schema_describes_the_members_that_it_names(schema: dict[str, Any], describes: bool) -> None:
    assert Schema.compile(schema).describes("flags") is describes


def test_a_schema_that_brings_in_the_same_ones_by_many_ways_is_looked_through_once() -> None:
    chain: dict[str, Any] = {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(14)}
    schema = Schema.compile({"$defs": {**chain, "s14": {}}, "$ref": "#/$defs/s0"})
    assert not schema.describes("flags")
