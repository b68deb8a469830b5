from __future__ import annotations

from typing import Any

import pytest

from hub.cli.config.places import NotAPlace, found, given, in_list, patch, place, pointer

VALUES = {"risk": {"max_leverage": 3, "limits": [1, {"at": "noon"}]}, "a.b": True, "c/d~": 0}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("risk.max_leverage", ("risk", "max_leverage")),
        ("/risk/max_leverage", ("risk", "max_leverage")),
        ("/a.b", ("a.b",)),
        ("/c~1d~0", ("c/d~",)),
        ("name", ("name",)),
    ],
)
def test_a_place_is_written_with_dots_or_as_a_pointer(text: str, keys: tuple[str, ...]) -> None:
    assert place(text) == keys
    assert place(pointer(keys)) == keys


@pytest.mark.parametrize("text", ["", ".", "a..b", "a.", "/", "//a"])
def test_a_place_with_an_empty_key_is_none(text: str) -> None:
    with pytest.raises(NotAPlace, match="expected a place such as"):
        place(text)


def test_what_is_at_a_place_is_found() -> None:
    assert found(VALUES, ()) == VALUES
    assert found(VALUES, ("risk", "limits", "1", "at")) == "noon"
    assert found(VALUES, ("c/d~",)) == 0


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("risk", "max_leverag"), "/risk has no 'max_leverag'; did you mean /risk/max_leverage?"),
        (("xyz",), "the configuration has no 'xyz'"),
        (("risk", "limits", "2"), "/risk/limits is a list of 2, and has no '2'"),
        (("a.b", "c"), "/a.b is a value, and has nothing within it"),
    ],
)
def test_where_nothing_is_it_says_how_far_the_way_goes(keys: tuple[str, ...], words: str) -> None:
    with pytest.raises(LookupError) as missing:
        found(VALUES, keys)
    assert missing.value.args == (words,)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("k=3", 3),
        ("k=-0.5", -0.5),
        ("k=true", True),
        ("k=fast", "fast"),
        ('k="3"', "3"),
        ("k=", ""),
        ("k=a=b", "a=b"),
        ("k=[1,null]", [1, None]),
        ('k={"$secret":"db-password"}', {"$secret": "db-password"}),
        ("k=1.2.3", "1.2.3"),
        ("k=NaN", "NaN"),
    ],
)
def test_a_value_is_json_where_it_can_be_read_so_else_text(text: str, value: Any) -> None:
    assert given(text) == (("k",), value)


@pytest.mark.parametrize("text", ["k=null", 'k={"a":{"b":null}}'])
def test_a_null_would_remove_and_is_refused(text: str) -> None:
    with pytest.raises(NotAPlace, match="--unset"):
        given(text)


@pytest.mark.parametrize("text", ["k", "=3", "k=123456789012345678901234", "k=[-99999999999999999999]"])
def test_what_is_no_pair_or_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(NotAPlace):
        given(text)


def test_changes_become_one_patch() -> None:
    changes = [(("a", "b"), 1), (("a", "c"), None), (("d",), {"e": 2})]
    assert patch(changes) == {"a": {"b": 1, "c": None}, "d": {"e": 2}}


@pytest.mark.parametrize("other", [("a",), ("a", "b"), ("a", "b", "c")])
def test_a_place_within_another_cannot_be_changed_with_it(other: tuple[str, ...]) -> None:
    with pytest.raises(NotAPlace, match="cannot both be changed"):
        patch([(("a", "b"), 1), (other, 2)])


def test_a_place_within_a_list_is_told() -> None:
    assert in_list(VALUES, ("risk", "limits", "0")) == ("risk", "limits")
    assert in_list(VALUES, ("risk", "limits")) is None
    assert in_list(VALUES, ("new", "0")) is None
