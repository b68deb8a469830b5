"""Which files can be a version of the components, in what two differ, and what may go."""

from __future__ import annotations

import os.path
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.components import (
    Bounds,
    Unused,
    changed,
    check,
    decoded_tree,
    encoded_tree,
    is_skipped,
    needed,
    says_nothing_new,
    wrong_path,
)
from hub.errors import HubError, InvalidRequest, PayloadTooLarge
from hub.wire.components import ComponentFile, ComponentsRecord

A, B = "a" * 64, "b" * 64


def file(path: str, sha256: str = A, size: int = 1, *, executable: bool = False) -> ComponentFile:
    return ComponentFile(path=path, sha256=sha256, size=size, executable=executable)


@pytest.mark.parametrize("path", ["a", "ui/button.js", "with space", "ünïcode/日本", "a..b", "x" * 255, "-rf", "a:b"])
def test_a_path_within_the_folder_is_taken(path: str) -> None:
    assert wrong_path(path) == ""


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", "..", "../a", "a/../b", "a/..", ".", "./a", "a/./b", "a//b", "a/"),
        *("a\x00b", "a\nb", "a\x1bb", "a\\b", "..\\a", "\u202etxt", ".hidden", "a/.git/config"),
        *("x" * 256, "/".join(["x" * 100] * 6), "\udcff"),
    ],
)
def test_a_path_that_could_lead_elsewhere_or_cannot_be_shown_is_not(path: str) -> None:
    assert wrong_path(path).startswith("expected")


@given(st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "a", "", "/", "~", "\x00"])).map("/".join))
def test_whatever_path_is_taken_stays_below_its_folder(path: str) -> None:
    if not wrong_path(path):
        joined = os.path.normpath(os.path.join("/folder", path))
        assert joined == f"/folder/{path}"


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (("A", "a"), "no file system takes for that of 'A'"),
        (("a/b", "\u00fcber", "u\u0308ber"), "no file system takes for"),
        (("a", "a/b"), "no file where 'a/b' needs a folder"),
        (("a", "a"), "no file system takes for"),
        (("b", "a"), "in the order of their paths"),
        (("../a",), "relative path"),
    ],
)
def test_files_that_exclude_each_other_are_no_version(paths: tuple[str, ...], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        check([file(path) for path in paths])


def test_a_version_has_bounds() -> None:
    bounds = Bounds(file=10, total=25, files=3)
    check([file("a", size=10), file("b", size=10)], bounds)
    for files in ([file("a", size=11)], [file(name, size=10) for name in "abc"], [file(name) for name in "abcd"]):
        with pytest.raises(PayloadTooLarge):
            check(files, bounds)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_tree_are_refused_and_break_nothing(content: bytes) -> None:
    try:
        decoded_tree(content)
    except HubError:
        return


def test_the_same_files_have_the_same_tree_in_whatever_order_they_come() -> None:
    files = [file("b"), file("a", B, executable=True)]
    tree, name = encoded_tree(files)
    assert encoded_tree(reversed(files)) == (tree, name)
    assert decoded_tree(tree) == (files[1], files[0])
    assert needed(files, name) == {A, B, name}


def test_two_versions_differ_where_a_file_came_went_or_is_another() -> None:
    before = [file("same"), file("content"), file("mode"), file("gone")]
    after = [file("same"), file("content", B), file("mode", executable=True), file("new")]
    assert changed(before, after) == ("content", "gone", "mode", "new")
    assert changed(after, after) == ()


@pytest.mark.parametrize("name", [".a", "a~", "a.swp", ".a.swx", "#a#", "4913", "x.tmp", "x.part", "x___jb_tmp___"])
def test_hidden_files_and_leftovers_are_skipped(name: str) -> None:
    assert is_skipped(name)
    assert not is_skipped("a.txt")


def test_a_folder_is_heard_once_whatever_operators_do_after_that() -> None:
    record = ComponentsRecord(kind="rollback", at=datetime.now(UTC), tree=B, files=1, bytes=1, folder=A)
    assert says_nothing_new(record, A)
    assert not says_nothing_new(record, B)
    assert not says_nothing_new(None, A)


class TestUnused:
    """What nobody needs goes when it was seen so for an hour."""

    def test_it_goes_when_the_time_is_over_and_not_before(self) -> None:
        unused = Unused(3600)
        assert unused.due({"a": 1}, (), 0) == []
        assert unused.due({"a": 1}, (), 3599) == []
        assert unused.due({"a": 1}, (), 3600) == ["a"]

    def test_what_is_needed_meanwhile_begins_anew(self) -> None:
        unused = Unused(3600)
        unused.due({"a": 1}, (), 0)
        unused.due({"a": 1}, {"a"}, 1800)
        assert unused.due({"a": 1}, (), 3600) == []
        assert unused.due({"a": 1}, (), 7200) == ["a"]

    def test_what_is_stored_again_begins_anew(self) -> None:
        unused = Unused(3600)
        unused.due({"a": 1}, (), 0)
        assert unused.due({"a": 2}, (), 3600) == []
        assert unused.due({"a": 2}, (), 7199) == []
        assert unused.due({"a": 2}, (), 7200) == ["a"]

    def test_what_is_gone_is_forgotten(self) -> None:
        unused = Unused(3600)
        unused.due({"a": 1}, (), 0)
        unused.due({}, (), 1)
        assert unused.due({"a": 1}, (), 3600) == []
