"""The threat model names tests that are there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.contract.golden import ROOT

SECURITY = (ROOT / "subjects" / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[^`:]+\.py)::([^`]+)`", SECURITY)))


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_the_threat_model_names_is_there(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {test for named, test in NAMED if named == file} <= there


def test_nothing_that_is_named_like_a_test_is_overlooked() -> None:
    assert len(NAMED) > 60
    assert set(re.findall(r"test_[a-z0-9_]+(?!\w|\.py)", SECURITY)) == {test for _, test in NAMED}


def test_every_threat_says_what_tries_it() -> None:
    """Or that nothing of it is left to be tried: what stands against it is then somebody else's."""
    rows = [
        line for line in SECURITY.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| the "))
    ]
    untried = [row.split(" | ")[0][2:] for row in rows if row.count(" | ") == 3 and "`tests/" not in row]
    assert untried == [
        "`hub.reregister`, `hub.config.remind`, `hub.health`, `hub.events` of somebody else",
        "any other subject in `SERVICES`",
    ]


def test_it_is_found_from_the_readme_and_from_the_subjects() -> None:
    assert "](subjects/SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "](SECURITY.md)" in (ROOT / "subjects" / "README.md").read_text(encoding="utf-8")
