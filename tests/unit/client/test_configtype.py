from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from hub.client.configtype import converted
from hub.errors import InvalidConfig


class Limit(Struct, forbid_unknown_fields=True):
    most: Annotated[int, Meta(ge=1, le=9)] = 1


class Engine(Struct):
    limits: list[Limit]
    until: datetime | None = None
    weights: dict[int, float] = {}


@dataclass
class Plain:
    name: str


def test_whatever_json_can_say_becomes_what_the_type_means() -> None:
    values = {"limits": [{"most": 2}], "until": "2026-01-01T00:00:00Z", "weights": {"1": 2}}
    engine = converted("engine", values, Engine)
    assert engine.until is not None
    assert engine.until.year == 2026
    assert (engine.limits, engine.weights) == ([Limit(2)], {1: 2.0})
    assert converted("engine", {"name": "x"}, Plain) == Plain("x")


def test_what_is_done_to_a_conversion_changes_nothing_beneath() -> None:
    values: dict[str, Any] = {"a": {"b": [1]}}
    copy = converted("engine", values, dict[str, Any])
    copy["a"]["b"].append(2)
    assert values == {"a": {"b": [1]}}


class WithFlags(Struct, forbid_unknown_fields=True):
    flags: dict[str, Any] = {}


class Renamed(Struct, rename={"switches": "flags"}):
    switches: dict[str, Any]


def test_flags_are_kept_from_a_type_that_has_fields_and_none_for_them() -> None:
    values: dict[str, Any] = {"name": "x", "flags": {"a": True}}
    only_flags = {"flags": {"a": True}}
    assert converted("engine", {"most": 2, "flags": {"a": True}}, Limit) == Limit(2)
    assert converted("engine", values, Plain) == Plain("x")
    assert converted("engine", only_flags, WithFlags) == WithFlags({"a": True})
    assert converted("engine", only_flags, Renamed) == Renamed({"a": True})
    assert converted("engine", only_flags, dict[str, dict[str, bool]]) == only_flags
    assert converted("engine", only_flags, Limit | None) == Limit()  # type: ignore[arg-type]
    assert values["flags"] == {"a": True}


@pytest.mark.parametrize(
    ("values", "kind", "message", "field"),
    [
        ({"limits": [{"most": 10}]}, Engine, "engine: /limits/0/most: expected int <= 9, got 10", "/limits/0/most"),
        ({}, Engine, "engine: /limits: expected a value, got none (the field is required)", "/limits"),
        ({"name": 1}, Plain, "engine: /name: expected str, got 1", "/name"),
        (
            {"limits": [], "until": "soon"},
            Engine,
            'engine: /until: expected a time such as 2026-03-01T09:00:00Z, got "soon"',
            None,
        ),
        ({}, list[int], "engine: /: expected array, got {}", None),
        ({"x": "y" * 70_000}, dict[str, int], "Expected `int`, got `str`", None),
    ],
)
def test_what_is_of_another_type_is_refused_with_its_place(
    values: dict[str, Any], kind: type[Any], message: str, field: str | None
) -> None:
    with pytest.raises(InvalidConfig) as raised:
        converted("engine", values, kind)
    assert message in raised.value.message
    if field is not None:
        assert raised.value.field == field
