"""A folder that somebody writes to while it is read: nothing outside of it, and nothing half-written, is ever taken."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from hub.core.components import Bounds
from hub.store.folder import Folder, Unsettled

BOUNDS = Bounds(file=100, total=250, files=5)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "components").mkdir()
    return Folder(tmp_path / "components", BOUNDS)


def write(folder: Folder, path: str, text: str) -> Path:
    target = folder.path / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def test_files_are_found_with_their_sums_and_modes(folder: Folder) -> None:
    write(folder, "b/c", "text")
    write(folder, "a", "").chmod(0o700)
    scan = folder.scan()
    assert not scan.listing.refused
    assert [(file.path, file.size, file.executable) for file in scan.files] == [("a", 0, True), ("b/c", 4, False)]
    assert scan.files[1].sha256 == hashlib.sha256(b"text").hexdigest()


def test_a_change_that_keeps_size_and_time_is_seen(folder: Folder) -> None:
    path = write(folder, "a", "one")
    os.utime(path, ns=(10**18, 10**18))
    before = folder.scan()
    path.write_text("two")
    os.utime(path, ns=(10**18, 10**18))
    assert folder.scan().files != before.files


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("link", "it is a link"),
        ("dangling", "it is a link"),
        ("folder-link", "it is a link"),
        ("pipe", "neither file nor folder"),
        ("large", "at most 100 bytes, got 101"),
        ("back\\slash", "without"),
        ("new\nline", "printable"),
    ],
)
def test_what_cannot_be_a_component_is_refused_by_name(folder: Folder, name: str, words: str) -> None:
    write(folder, "fine", "text")
    path = folder.path / name
    match name:
        case "link":
            path.symlink_to("/etc/passwd")
        case "dangling":
            path.symlink_to("nowhere")
        case "folder-link":
            path.symlink_to("/etc")
        case "pipe":
            os.mkfifo(path)
        case "large":
            path.write_text("x" * 101)
        case _:
            path.write_text("x")
    scan = folder.scan()
    assert list(scan.listing.refused) == [name]
    assert words in scan.listing.refused[name]
    assert scan.files == ()


def test_a_name_that_is_no_text_is_refused_and_can_be_shown(folder: Folder) -> None:
    os.close(os.open(os.fsencode(folder.path) + b"/a\xff", os.O_CREAT | os.O_WRONLY))
    refused = folder.scan().listing.refused
    assert list(refused) == ["a\\udcff"]
    assert "UTF-8" in refused["a\\udcff"]
    "".join(refused).encode()


def test_more_than_a_version_may_have_is_refused(folder: Folder) -> None:
    for number in range(3):
        write(folder, str(number), "x" * 90)
    assert "at most 250 bytes together" in folder.scan().listing.refused["."]
    for number in range(6):
        write(folder, str(number), "x")
    assert "at most 5 files" in folder.scan().listing.refused["."]


def test_names_that_exclude_each_other_are_refused(folder: Folder) -> None:
    write(folder, "Readme", "x")
    write(folder, "README", "x")
    assert "no file system takes for" in folder.scan().listing.refused["."]


def test_a_folder_that_is_deep_without_end_is_refused_and_walked_to_an_end(folder: Folder) -> None:
    deep = folder.path
    for _ in range(40):
        deep = deep / ("d" * 20)
    deep.mkdir(parents=True)
    assert "at most 512 bytes" in next(iter(folder.scan().listing.refused.values()))


async def test_a_file_that_becomes_a_link_before_it_is_sent_is_not_followed(folder: Folder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = write(folder, "a", "text")
    folder.scan()
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(Unsettled):
        async for _ in folder.content("a"):
            pass


async def test_a_folder_that_becomes_a_link_before_its_files_are_sent_is_not_followed(
    folder: Folder, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_text("secret")
    path = write(folder, "inner/a", "text")
    folder.scan()
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(outside)
    with pytest.raises(Unsettled):
        async for _ in folder.content("inner/a"):
            pass


async def test_a_file_that_is_gone_before_it_is_sent_is_told(folder: Folder) -> None:
    write(folder, "a", "text").unlink()
    with pytest.raises(Unsettled):
        async for _ in folder.content("a"):
            pass


def test_a_file_that_grows_while_it_is_read_is_not_taken(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(folder, "a", "text")
    real = folder.look

    def look_and_write() -> object:
        listing = real()
        path.write_text("a longer text")
        return listing

    monkeypatch.setattr(folder, "look", look_and_write)
    with pytest.raises(Unsettled):
        folder.scan()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "nowhere", BOUNDS)
    assert not folder.is_there()
    with pytest.raises(FileNotFoundError):
        folder.scan()
