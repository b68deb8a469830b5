"""Any schema and any values: the hub and the engine agree, and nothing raises."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import jsonschema_rs
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.errors import InvalidRequest
from hub.validation import Schema
from hub.validation.shown import shown

NAMES = st.sampled_from(["a", "b", "", "0", "007", "a/b", "~", "password", "additionalProperties", "$secret"])
SCALARS = st.sampled_from([None, True, False, -3, 0, 1, 2, 3, 0.5, 1.0, 1e300, 10**30, "", "a", "ab", "xyz"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "null", "array", "object"])
SMALL = st.integers(0, 3)
REFERENCES = st.sampled_from(["#", "#/$defs/a", "#/$defs/b"])


def _deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    many = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(NAMES, inner, max_size=3)
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "properties": named,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "0"]), inner, max_size=2),
        "additionalProperties": inner,
        "unevaluatedProperties": inner,
        "unevaluatedItems": inner,
        "propertyNames": inner,
        "items": inner,
        "prefixItems": many,
        "contains": inner,
        "minContains": SMALL,
        "maxContains": SMALL,
        "allOf": many,
        "anyOf": many,
        "oneOf": many,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "dependentSchemas": named,
        "$ref": REFERENCES,
        "default": VALUES,
        "writeOnly": st.booleans(),
    }
    return st.fixed_dictionaries({}, optional=keywords)


LEAVES = st.booleans() | st.fixed_dictionaries(
    {},
    optional={
        "type": TYPES | st.lists(TYPES, min_size=1, unique=True),
        "enum": st.lists(VALUES, max_size=3),
        "const": VALUES,
        "minimum": SMALL,
        "exclusiveMaximum": SMALL,
        "multipleOf": st.sampled_from([1, 2, 0.1]),
        "minLength": SMALL,
        "maxLength": SMALL,
        "pattern": st.sampled_from(["^a", "b$", "(a|b)*c"]),
        "minItems": SMALL,
        "maxItems": SMALL,
        "uniqueItems": st.booleans(),
        "required": st.lists(NAMES, max_size=2, unique=True),
        "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=2),
        "maxProperties": SMALL,
        "format": st.just("uri"),
        "default": VALUES,
        "writeOnly": st.booleans(),
    },
)
SUBSCHEMAS = st.recursive(LEAVES, _deeper, max_leaves=4)
SCHEMAS = st.tuples(_deeper(SUBSCHEMAS), SUBSCHEMAS, SUBSCHEMAS).map(
    lambda three: {**three[0], "$defs": {"a": three[1], "b": three[2]}}
)
SLOWLY = settings(max_examples=60, suppress_health_check=list(HealthCheck))


KEYWORDS = [
    "$anchor",
    "$defs",
    "$dynamicRef",
    "$id",
    "$recursiveRef",
    "$ref",
    "allOf",
    "const",
    "default",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "enum",
    "if",
    "items",
    "minLength",
    "minimum",
    "multipleOf",
    "not",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "type",
]


def compiled(schema: dict[str, Any]) -> Schema | None:
    """None where it refers to itself."""
    try:
        return Schema.compile(schema)
    except InvalidRequest as error:
        if "refer to itself" not in error.message and "applies fewer others" not in error.message:
            raise
        return None


def has_references(value: Any) -> bool:
    return b'"$secret"' in msgspec.json.encode(value)


@SLOWLY
@given(SCHEMAS, OBJECTS)
def test_there_are_violations_exactly_where_the_engine_finds_the_values_invalid(
    schema: dict[str, Any], values: dict[str, Any]
) -> None:
    mine = compiled(schema)
    if mine is None or has_references(values):
        return
    found = mine.violations(values)
    assert (found == ()) == jsonschema_rs.Draft202012Validator(schema).is_valid(values)


@SLOWLY
@given(SCHEMAS, OBJECTS)
def test_every_violation_is_at_a_place_that_is_there(schema: dict[str, Any], values: dict[str, Any]) -> None:
    mine = compiled(schema)
    for violation in mine.violations(values) if mine else ():
        place: Any = values
        for step in violation.path.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            place = place[int(name)] if isinstance(place, list) else place[name]
        assert (
            violation.got in ("***", shown(place, lambda *_: False)) or "***" in violation.got or "$sec" in str(place)
        )
        assert violation.expected


@SLOWLY
@given(SCHEMAS)
def test_any_valid_schema_has_defaults_and_is_quick(schema: dict[str, Any]) -> None:
    started = time.process_time()
    mine = compiled(schema)
    if mine:
        assert isinstance(mine.defaults(), dict)
    assert time.process_time() - started < 5


@SLOWLY
@given(st.dictionaries(st.sampled_from(KEYWORDS), VALUES | st.sampled_from(["#", "#/a", "^a", "string"])))
def test_what_may_be_a_schema_or_not_is_compiled_or_refused(schema: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidRequest):
        Schema.compile(schema).violations({"a": 1})
