"""Log lines that callers bring about: a few, and a count of the rest."""

from __future__ import annotations

import pytest

from hub.handlers import sparing
from hub.handlers.sparing import PER_SECOND, Sparing


def test_a_few_lines_a_second_are_written_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(sparing, "monotonic", lambda: now)
    lines = Sparing()
    assert [lines.take() for _ in range(PER_SECOND + 3)] == [0] * PER_SECOND + [None] * 3
    now = 101.0
    assert [lines.take(), lines.take()] == [3, 0]
