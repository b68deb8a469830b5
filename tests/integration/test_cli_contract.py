"""`hub contract`: the rendered contract is written, and drift is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.commands import run

_PROJECT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the project's contract, freshly rendered."""
    for folder in ("subjects", "schemas"):
        shutil.copytree(_PROJECT / folder, tmp_path / folder)
    done = run("contract", "--write", "--root", str(tmp_path))
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_what_was_written_is_what_the_code_says(root: Path) -> None:
    done = run("contract", "--check", "--root", str(root))
    assert (done.returncode, done.stderr) == (0, "")


def test_drift_is_named_and_ends_with_1(root: Path) -> None:
    (root / "schemas" / "v1" / "register.json").write_text("{}\n")
    done = run("contract", "--check", "--root", str(root))
    assert done.returncode == 1
    assert "schemas/v1/register.json" in done.stderr
    assert "hub contract --write" in done.stderr
