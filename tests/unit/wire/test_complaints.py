"""Everything that is wrong with a value, where msgspec stops at the first."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from hub.wire.complaints import Complaint, complaints

Even = Annotated[int, Meta(ge=0, le=8, extra={"expected": "a small number"})]


class Inner(Struct):
    name: Annotated[str, Meta(pattern=r"^[a-z]+\Z", max_length=4)]
    size: Even = 0


class Outer(Struct, forbid_unknown_fields=True):
    inner: Inner
    many: Annotated[dict[Annotated[str, Meta(min_length=1)], Inner], Meta(max_length=2)] = {}
    either: bool | Annotated[tuple[int, ...], Meta(min_length=1)] | Inner | None = None


@pytest.mark.parametrize("value", [{"inner": {"name": "a", "other": 1}}, {"inner": {"name": "a"}, "either": None}])
def test_of_a_value_that_is_right_nobody_complains(value: Any) -> None:
    assert complaints(Outer, value) == []


def test_each_thing_that_is_wrong_is_one_complaint_with_its_place() -> None:
    value = {
        "inner": {"name": "A", "size": 9},
        "many": {"x": {}, "": {"name": "b", "size": True}, "y": 3},
        "either": {"name": 1},
        "other": 1,
    }
    assert complaints(Outer, value) == [
        Complaint(("other",), "no property 'other' (there are inner, many, either)", "1"),
        Complaint(("inner", "name"), "a string of 0..4 characters", '"A"'),
        Complaint(("inner", "size"), "a small number", "9"),
        Complaint(("many",), "0..2 members", "3"),
        Complaint(("many", "x", "name"), "a value", "nothing"),
        Complaint(("many", ""), "a name: a string", '""'),
        Complaint(("many", "", "size"), "a small number", "true"),
        Complaint(("many", "y"), "an object", "3"),
        Complaint(("either", "name"), "a string of 0..4 characters", "1"),
    ]


@pytest.mark.parametrize(
    ("either", "expected"),
    [
        ("x", Complaint(("either",), "true or false or a list or an object", '"x"')),
        ([], Complaint(("either",), "at least 1 values", "0")),
        ([1, "2"], Complaint(("either", "1"), "an integer", '"2"')),
    ],
)
def test_of_a_union_that_is_held_against_the_value_which_is_written_alike(either: Any, expected: Complaint) -> None:
    assert complaints(Outer, {"inner": {"name": "a"}, "either": either}) == [expected]


def test_what_is_no_object_is_one_complaint() -> None:
    assert complaints(Outer, [1]) == [Complaint((), "an object", "[1]")]


def test_no_more_is_told_than_was_asked_for() -> None:
    value = {"inner": {"name": "a"}, "either": ["x"] * 9}
    assert len(complaints(Outer, value)) == 9
    assert len(complaints(Outer, value, 4)) == 4
