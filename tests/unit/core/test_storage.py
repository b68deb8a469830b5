"""How well the streams are held."""

from __future__ import annotations

import pytest

from hub.core.storage import Held, judge


@pytest.mark.parametrize(
    ("held", "wanted", "status", "word"),
    [
        (Held(1, 1, True), 1, "passing", ""),
        (Held(3, 3, True), 3, "passing", ""),
        (Held(3, 3, True), 1, "passing", ""),
        (Held(3, 2, True), 3, "warning", "complete on 2 of its 3"),
        (Held(1, 1, True), 3, "warning", "kept on 1 of 3"),
        (Held(3, 1, False), 3, "critical", "no leader"),
        (Held(1, 1, True, is_silent=True), 1, "warning", "does not send its changes on"),
        ("the stream S is missing", 1, "critical", "missing"),
    ],
)
def test_a_stream_is_held_by_as_many_as_it_should_be_or_by_too_few_or_by_none(
    held: Held | str, wanted: int, status: str, word: str
) -> None:
    condition = judge({"S": held, "T": Held(wanted, wanted)}, wanted)
    assert condition.status == status
    assert word in condition.reason
