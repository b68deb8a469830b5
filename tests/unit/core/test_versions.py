"""Version ranges."""

from __future__ import annotations

import pytest

from hub.core.versions import VersionRange, parse
from hub.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=1.2,<2", ["1.2", "1.2.0", "1.99.3", "2.0.0-rc.1"], ["1.1.9", "2", "2.0.0", "1.2.0-alpha"]),
        ("1.4.2", ["1.4.2", "v1.4.2", "1.4.2+build.7"], ["1.4.3", "1.4.2-rc1"]),
        ("~=1.4", ["1.4", "1.9.9"], ["2.0", "1.3", "2.0.0-rc1"]),
        ("~=1.4.2", ["1.4.2", "1.4.9"], ["1.5.0"]),
        ("^1.4.1", ["1.4.1", "1.99"], ["2.0.0", "1.4.0"]),
        ("!=1.0", ["1.0.1"], ["1", "1.0.0"]),
        (" >= 1 , <= 2 ", ["1", "2"], ["2.0.1"]),
    ],
)
def test_a_range_holds_what_lies_in_it(text: str, inside: list[str], outside: list[str]) -> None:
    wanted = VersionRange(text)
    assert [v for v in inside if v not in wanted] == []
    assert [v for v in outside if v in wanted] == []


def test_pre_releases_sort_as_semantic_versioning_says() -> None:
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ]
    parsed = [parse(version) for version in ordered]
    assert None not in parsed
    assert sorted(v for v in parsed if v) == parsed


@pytest.mark.parametrize("version", ["", "latest", "x1", "1." * 200])
def test_what_is_no_version_lies_in_no_range(version: str) -> None:
    assert version not in VersionRange(">=0")


@pytest.mark.parametrize("text", ["", ",", ">=", "banana", ">=1.x", ">>1", "1 2", ">=1,," + "9" * 200, "(a+)+$"])
def test_an_absurd_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        VersionRange(text)
    assert refused.value.field == "version"


def test_a_range_of_many_clauses_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="16 clauses"):
        VersionRange(",".join([">=1"] * 17))
