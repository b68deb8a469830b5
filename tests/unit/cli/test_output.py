from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.cli.output import Cell, Column, age, plain_lines, printable, status

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0s"),
        (0, "0s"),
        (4.9, "4s"),
        (59, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h00m"),
        (2 * 3600 + 10 * 60, "2h10m"),
        (86_400, "1d00h"),
        (3 * 86_400 + 5 * 3600, "3d05h"),
        (400 * 86_400, "400d"),
    ],
)
def test_an_age_is_told_in_its_largest_units(seconds: float, words: str) -> None:
    assert age(NOON - timedelta(seconds=seconds), NOON) == words


def test_a_plain_table_is_aligned_and_has_a_value_in_every_column() -> None:
    columns = (Column("NAME"), Column("COUNT", right=True), Column("ZONE", optional=True))
    rows = [[Cell("a"), Cell("7"), Cell("")], [Cell("longer-name"), Cell("1234567"), Cell("eu-1")]]
    assert plain_lines(columns, rows) == [
        "NAME           COUNT  ZONE",
        "a                  7  -",
        "longer-name  1234567  eu-1",
    ]


def test_what_would_command_a_terminal_is_escaped() -> None:
    assert printable("blue\x1b[2J\nred") == "blue\\x1b[2J\\nred"
    assert printable("Zürich → ok") == "Zürich → ok"


def test_every_status_of_the_contract_has_a_style() -> None:
    for value in ("passing", "warning", "suspect", "critical", "draining", "maintenance"):
        assert status(value).style
    assert status("something newer").style == ""
    assert status(None) == Cell("")
