"""Who may read a secret: patterns of services."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.access import matches, may_read, may_refer

NAMES = st.text("ab-", max_size=8)
PATTERNS = st.text("ab-*", max_size=8)


@pytest.mark.parametrize(
    ("pattern", "service", "expected"),
    [
        ("api-gateway", "api-gateway", True),
        ("api-gateway", "api-gateway-2", False),
        ("api-gateway", "my-api-gateway", False),
        ("trading-*", "trading-engine", True),
        ("trading-*", "trading-", True),
        ("trading-*", "trading", False),
        ("*-engine", "trading-engine", True),
        ("*-engine", "engine", False),
        ("*", "whoever", True),
        ("**", "whoever", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("t*-*e", "trading-engine", True),
        ("t*x*e", "trading-engine", False),
    ],
)
def test_a_star_stands_for_anything(pattern: str, service: str, expected: bool) -> None:
    assert matches(pattern, service) is expected


@given(PATTERNS, NAMES)
def test_patterns_mean_what_they_mean_in_a_shell(pattern: str, service: str) -> None:
    assert matches(pattern, service) == fnmatchcase(service, pattern)


def test_a_hostile_pattern_takes_no_longer() -> None:
    assert not matches("*a" * 31 + "*b", "a" * 63)


def test_one_reader_among_many_is_enough_and_none_is_nobody() -> None:
    assert may_read("engine", ["gateway", "eng*"])
    assert not may_read("engine", ["gateway", "trading-*"])
    assert not may_read("engine", [])


def test_what_all_share_may_refer_to_any_secret_and_is_no_service_that_reads_it() -> None:
    assert may_refer("_all", ["gateway"])
    assert not may_refer("engine", ["gateway"])
