from __future__ import annotations

from pathlib import Path

import pytest

from hub.cli.config.documents import Unreadable, parsed, read, refuse_unknown, scopes
from hub.errors import InvalidRequest


def test_json_and_toml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"risk": {"limits": [1, 2]}}')
    (tmp_path / "a.toml").write_text("[risk]\nlimits = [1, 2]\n")
    assert read(str(tmp_path / "a.json")) == read(str(tmp_path / "a.toml")) == {"risk": {"limits": [1, 2]}}


@pytest.mark.parametrize(
    ("content", "toml", "words"),
    [
        (b'{"a": 1,\n "b": }', False, r"x: is not JSON: invalid character \(byte 15\), on line 2"),
        (b'{"a": 1', False, "x: is not JSON: Input data was truncated"),
        (b"[1]", False, "x: expected an object, with a key for each value, got list"),
        (b"a = = 1", True, "x: is not TOML: "),
        (b"a = nan", True, "x: nan is no number that JSON can say"),
        (b"a = [{b = inf}]", True, "x: inf is no number"),
        (b'{"a": 99999999999999999999999}', False, "x: 99999999999999999999999 is beyond the numbers"),
        (b"[" * 100_000, False, "x: is nested too deeply"),
        (b"\xff", True, "x: is not TOML"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(content: bytes, toml: bool, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        parsed(content, "x", toml=toml)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(Unreadable, match=r"/nowhere/a\.json: cannot be read \(No such file or directory\)"):
        read("/nowhere/a.json")


def test_files_and_folders_add_up(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text('{"_all": {"a": 1}, "orders": {"b": 2}}')
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "risk.toml").write_text("c = 3")
    (folder / "desk.json").write_text('{"d": 4}')
    (folder / "README.md").write_text("not a configuration")
    found = scopes((str(tmp_path / "all.json"), str(folder)))
    assert found.values == {
        "_all": {"a": 1},
        "orders": {"b": 2},
        "risk": {"c": 3},
        "desk": {"d": 4},
    }
    assert found.sections == dict.fromkeys(("_all", "orders"), str(tmp_path / "all.json"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"max_leverage": 3}', "'max_leverage' is not the name of a service"),
        ('{"leverage": 3}', "expected an object of values, got int; .* goes with --service"),
        ("{}", "nothing to import"),
    ],
)
def test_a_file_of_values_without_a_service_is_refused_and_told_how(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InvalidRequest, match=words):
        scopes((str(tmp_path / "a.json"),))


def test_a_service_that_two_files_speak_of_is_refused(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text('{"orders": {}}')
    with pytest.raises(InvalidRequest, match=r"b\.json: orders is in .*a\.json too"):
        scopes((str(tmp_path / "a.json"), str(tmp_path / "b.json")))


def test_names_within_a_file_of_which_nothing_is_known_may_be_sections_and_are_refused() -> None:
    sections = {"_all": "a.toml", "risk": "a.toml", "limits": "a.toml", "orders": "a.toml"}
    with pytest.raises(InvalidRequest, match=r"a\.toml: no such service is .*: limits, risk\. .* --service; .* --new"):
        refuse_unknown(sections, {"orders"})
    refuse_unknown(sections, {"orders", "risk", "limits"})
    refuse_unknown({}, ())
