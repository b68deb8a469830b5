"""How layers are laid together, patched and told apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.layers import MAX_DEPTH, differences, laid_over, laid_together, leaves, origins, patched, too_deep
from hub.wire.config import (
    ConfigDifference,
    ConfigRecord,
)
from tests.unit.core.making import WALL

_scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab/~", max_size=2)
_values = st.recursive(
    _scalars | st.lists(_scalars, max_size=2),
    lambda inner: st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text("ab/~", max_size=2), _values, max_size=3)


def record(scope: str = "engine", **given: Any) -> ConfigRecord:
    return ConfigRecord(scope=scope, kind="put", at=WALL, **given)


def test_later_layers_win_and_each_value_tells_where_it_is_from() -> None:
    own = record(
        defaults={"a": 0, "b": 0, "c": 0, "d": 0, "e": 0, "o": {"x": 0, "y": 0}},
        file={"d": 3, "e": 3},
        values={"e": 4, "o": {"y": 4}},
    )
    shared = record("_all", file={"b": 1, "c": 1, "d": 1}, values={"c": 2})
    assert laid_together(own, shared) == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4, "o": {"x": 0, "y": 4}}
    assert origins(own, shared) == {
        "/a": "schema",
        "/b": "all-file",
        "/c": "all",
        "/d": "file",
        "/e": "service",
        "/o/x": "schema",
        "/o/y": "service",
    }


def test_without_a_record_of_its_own_a_service_has_what_all_share() -> None:
    assert laid_together(None, record("_all", values={"a": 1})) == {"a": 1}
    assert laid_together(None, None) == {}


@pytest.mark.parametrize(
    ("below", "above", "together"),
    [
        ({"a": {"x": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": {"x": 2}}, {"a": {"x": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": None}, {"a": None}),
        ({"a": {"x": 1}}, {"a": {}}, {"a": {"x": 1}}),
    ],
)
def test_objects_are_laid_over_objects_and_nothing_else_is(
    below: dict[str, Any], above: dict[str, Any], together: dict[str, Any]
) -> None:
    assert laid_over(below, above) == together


_RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("values", "patch", "result"), _RFC_7396)
def test_a_merge_patch_does_what_the_standard_says(
    values: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]
) -> None:
    assert patched(values, patch) == result


def test_differences_name_each_place_and_tell_true_from_1() -> None:
    before = {"a": 1, "b": {"x/y": 1, "gone": 2}, "l": [1], "same": {"k": 1.5}}
    after = {"a": True, "b": {"x/y": 2, "new": None}, "l": [True], "same": {"k": 1.5}}
    assert differences(before, after) == (
        ConfigDifference(path="/a", change="changed", before=1, after=True),
        ConfigDifference(path="/b/gone", change="removed", before=2),
        ConfigDifference(path="/b/new", change="added", after=None),
        ConfigDifference(path="/b/x~1y", change="changed", before=1, after=2),
        ConfigDifference(path="/l", change="changed", before=[1], after=[True]),
    )


@given(objects, objects)
def test_there_is_no_difference_exactly_where_the_json_is_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (differences(one, other) == ()) == same
    assert differences(one, one) == ()


@given(objects, objects)
def test_each_leaf_of_the_whole_has_an_origin_and_is_found_there(shared: dict[str, Any], own: dict[str, Any]) -> None:
    records = record(values=own), record("_all", values=shared)
    found = origins(*records)
    layers = {"service": dict(leaves(own)), "all": dict(leaves(shared))}
    for path, value in leaves(laid_together(*records)):
        assert layers[found[path]][path] == value


def test_what_nests_too_deep_is_noticed_without_recursion() -> None:
    value: dict[str, Any] = {}
    for _ in range(MAX_DEPTH - 1):
        value = {"a": value}
    assert not too_deep(value)
    for _ in range(100_000):
        value = {"a": [value]}
    assert too_deep(value)
