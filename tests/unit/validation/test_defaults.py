"""The defaults that a schema gives."""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import InvalidRequest
from hub.validation import Schema

BOTH = {"a": {"default": 2}, "b": {"default": 2}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, {}),
        ({"properties": {"a": {"default": 1}, "b": {}, "c": {"default": None}}}, {"a": 1, "c": None}),
        ({"properties": {"o": {"properties": {"a": {"default": 1}}}}}, {"o": {"a": 1}}),
        ({"properties": {"o": {"properties": {"a": {}}}}}, {}),
        ({"default": {"a": 1, "c": 3}, "properties": BOTH}, {"a": 1, "b": 2, "c": 3}),
        ({"properties": {"o": {"default": {"a": 1}, "properties": BOTH}}}, {"o": {"a": 1, "b": 2}}),
        ({"properties": {"o": {"default": None, "properties": {"a": {"default": 2}}}}}, {"o": None}),
        ({"properties": {"l": {"default": [1], "items": {"default": 5}}}}, {"l": [1]}),
        ({"properties": {"p": {"$ref": "#/$defs/p"}}, "$defs": {"p": {"default": 80}}}, {"p": 80}),
        ({"properties": {"p": {"$ref": "#/$defs/p", "default": 81}}, "$defs": {"p": {"default": 80}}}, {"p": 81}),
        ({"$ref": "#/$defs/all", "$defs": {"all": {"properties": {"a": {"default": 1}}}}}, {"a": 1}),
        ({"properties": {"a": {"default": 1}, "again": {"$ref": "#"}}}, {"a": 1}),
        ({"anyOf": [{"properties": {"a": {"default": 1}}}], "if": {"properties": {"b": {"default": 1}}}}, {}),
        ({"default": 5}, {}),
        ({"properties": {"default": {"default": 1}}}, {"default": 1}),
    ],
)  # fmt: skip
def test_defaults_are_those_of_plain_properties(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert Schema.compile(schema).defaults() == expected


def doubling(links: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {
        f"d{link}": {"properties": {name: {"$ref": f"#/$defs/d{link + 1}"} for name in "ab"}} for link in range(links)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{links}": {"default": "x" * 20}}}


@pytest.mark.parametrize("links", [12, 30])
def test_defaults_that_multiply_without_end_are_refused(links: int) -> None:
    assert Schema.compile(doubling(3)).defaults()["a"]["b"]["a"] == "x" * 20
    with pytest.raises(InvalidRequest, match="to find defaults in"):
        Schema.compile(doubling(links))


def test_defaults_that_are_too_large_are_refused() -> None:
    properties = {f"p{number}": {"$ref": "#/$defs/long"} for number in range(20)}
    with pytest.raises(InvalidRequest, match="defaults of at most 32768 bytes"):
        Schema.compile({"properties": properties, "$defs": {"long": {"default": "x" * 10_000}}})
