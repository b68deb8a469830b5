"""Whose schema holds where instances of several versions register one."""

from __future__ import annotations

import pytest

from hub.core.configschemas import is_same, why_held
from hub.wire.config import ConfigRecord
from tests.unit.core.making import WALL


def stored(version: str = "", *, registered: bool = False, schema: bool = True) -> ConfigRecord:
    return ConfigRecord(
        scope="engine",
        kind="schema",
        at=WALL,
        schema={"type": "object"} if schema else None,
        schema_registered=registered,
        schema_version=version,
    )


def test_where_there_is_none_the_first_one_is_taken() -> None:
    assert not why_held(None, "", [""])
    assert not why_held(stored(schema=False), "", [""])


@pytest.mark.parametrize(
    ("known", "own", "registered", "held"),
    [
        ("1.0", "2.0", ["1.0", "2.0"], False),
        ("2.0", "1.0", ["1.0", "2.0"], True),
        ("2.0", "1.0", ["1.0", "1.0"], False),
        ("2.0", "1.0", ["1.0", "3.0"], True),
        ("2.0", "1.0", ["1.0", "1.5"], True),
        ("1.10", "1.9", ["1.9", "1.10"], True),
        ("1.9", "1.10", ["1.9", "1.10"], False),
        ("1.0", "1.0.0", ["1.0", "1.0.0"], False),
        ("2.0", "2.0-rc.1", ["2.0", "2.0-rc.1"], True),
        ("", "", ["", ""], False),
        ("1.0", "", ["1.0", ""], True),
        ("1.0", "nightly", ["1.0", "nightly"], True),
        ("nightly", "yesterday", ["nightly", "yesterday"], False),
    ],
)
def test_the_newest_version_decides_for_as_long_as_a_newer_one_is_registered(
    known: str, own: str, registered: list[str], held: bool
) -> None:
    assert bool(why_held(stored(known, registered=True), own, registered)) is held


@pytest.mark.parametrize(
    ("known", "own", "held"),
    [("1.0", "1.0", True), ("1.0", "0.9", True), ("1.0", "1.1", False), ("", "", True), ("", "1.0", False)],
)
def test_what_was_put_holds_until_a_newer_version_comes(known: str, own: str, held: bool) -> None:
    assert bool(why_held(stored(known), own, [own])) is held
    if known:
        assert bool(why_held(stored(known, schema=False), own, [own])) is held, "so does that it was taken away"


def test_two_versions_that_register_again_and_again_do_not_go_back_and_forth() -> None:
    registered, present, changes = ["1.0", "2.0"], stored("1.0", registered=True), 0
    for version in ["2.0", "1.0"] * 10:
        if not why_held(present, version, registered) and present.schema_version != version:
            present, changes = stored(version, registered=True), changes + 1
    assert (present.schema_version, changes) == ("2.0", 1)


def test_schemas_are_told_apart_as_json_tells_them_apart() -> None:
    assert is_same(stored(), {"type": "object"})
    one = ConfigRecord(scope="engine", kind="schema", at=WALL, schema={"const": 1})
    assert not is_same(one, {"const": True})
    assert not is_same(None, {})
