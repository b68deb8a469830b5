"""What is read of a folder of configuration files, and how those that are none are explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.store.files import LARGEST, read


def test_each_file_is_a_scope_and_what_is_no_json_becomes_text(tmp_path: Path) -> None:
    (tmp_path / "_all.toml").write_text('region = "eu"\n')
    (tmp_path / "engine.toml").write_text("opens = 08:00:00\n[risk]\nmax = 1.5\nday = 2026-01-02\n")
    (tmp_path / "README.md").write_text("no configuration")
    (tmp_path / ".engine.toml.swp").write_text("=")
    reading = read(tmp_path)
    assert reading is not None
    assert reading.broken == {}
    assert reading.values == {
        "_all": {"region": "eu"},
        "engine": {"opens": "08:00:00", "risk": {"max": 1.5, "day": "2026-01-02"}},
    }


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("engine", b"a = 1\nb = \n", "engine.toml:2: Invalid value"),
        ("engine", b"a = 1\na = 2\n", "engine.toml:2: Cannot overwrite a value"),
        ("engine", b"a = nan\n", "engine.toml: expected finite numbers, got nan"),
        ("engine", b"a = '\xff'\n", "engine.toml: expected UTF-8, got another byte at 5"),
        ("engine", b"a = '" + b"x" * LARGEST + b"'", f"engine.toml: expected at most {LARGEST} bytes"),
        ("engine", b"a = " + b"[" * 30_000, "engine.toml: "),
        ("Not_A_Service", b"a = 1\n", "Not_A_Service.toml: expected a file called after a service, or _all.toml"),
    ],
)
def test_a_file_that_is_broken_is_explained_by_file_line_and_reason(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / f"{name}.toml").write_bytes(content)
    reading = read(tmp_path)
    assert reading is not None
    assert reading.values == {}
    assert f"{tmp_path}/{words}" in reading.broken[name]


def test_a_link_to_nowhere_and_a_folder_called_like_a_file_are_no_disaster(tmp_path: Path) -> None:
    (tmp_path / "gone.toml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.toml").mkdir()
    reading = read(tmp_path)
    assert reading is not None
    assert reading.values == {}
    assert "cannot be read (Is a directory)" in reading.broken["folder"]


def test_a_folder_that_is_not_there_is_told_from_an_empty_one(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere") is None
    assert read(tmp_path) == ({}, {})
