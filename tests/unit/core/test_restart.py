"""What is said of files that only a start reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.core.restart import Content, RestartNeeded
from hub.wire.names import PASSING, WARNING

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
A, B, C = Content("a"), Content("b"), Content("c")


def looked(restart: RestartNeeded, found: dict[str, Content], at: datetime = AT) -> list[str]:
    return list(restart.look(found, at))


def test_files_that_hold_what_they_held_need_no_restart() -> None:
    restart = RestartNeeded({"x": A})
    assert looked(restart, {"x": A}) == []
    assert (restart.needed, restart.condition.status) == (False, PASSING)


def test_a_change_is_said_once_with_its_time_until_the_file_is_again_what_it_was() -> None:
    restart = RestartNeeded({"x": A})
    assert looked(restart, {"x": B}) == ["restart needed: x changed at 2026-01-31 12:00:00 UTC"]
    assert looked(restart, {"x": B}, LATER) == []
    assert restart.condition == (WARNING, "restart needed: x changed at 2026-01-31 12:00:00 UTC")
    assert looked(restart, {"x": C}, LATER) == ["restart needed: x changed at 2026-01-31 12:05:00 UTC"]
    assert looked(restart, {"x": A}, LATER) == [
        "no restart needed for it any more: x is again what it was at the start"
    ]
    assert (restart.needed, restart.condition.status) == (False, PASSING)


def test_a_file_that_comes_or_goes_needs_a_restart() -> None:
    restart = RestartNeeded({"x": A})
    looked(restart, {"y": B})
    assert restart.condition.reason == (
        "restart needed: x is gone since 2026-01-31 12:00:00 UTC, y is new since 2026-01-31 12:00:00 UTC"
    )
    looked(restart, {"x": A})
    assert not restart.needed


def test_a_file_that_cannot_be_read_is_named_and_takes_nothing_back() -> None:
    restart = RestartNeeded({"x": A, "y": Content(None, "y: cannot be read (Permission denied)")})
    assert restart.condition.reason == "y: cannot be read (Permission denied)"
    assert not restart.needed
    looked(restart, {"x": B, "y": A})
    assert "x changed at" in restart.condition.reason
    assert "y is new since" in restart.condition.reason
    assert looked(restart, {"x": Content(None, "x: cannot be read (oh)"), "y": A}, LATER) == ["x: cannot be read (oh)"]
    assert "x changed at 2026-01-31 12:00:00" in restart.condition.reason


def test_what_is_broken_is_said_whether_or_not_it_has_changed() -> None:
    restart = RestartNeeded({"x": Content("a", "x:3: no")})
    assert (restart.needed, restart.broken, restart.condition) == (False, ("x:3: no",), (WARNING, "x:3: no"))
    assert looked(restart, {"x": Content("a", "x:3: no")}) == []
    looked(restart, {"x": Content("b", "x:1: neither")})
    assert restart.condition.reason == "restart needed: x changed at 2026-01-31 12:00:00 UTC; x:1: neither"


def test_a_folder_full_of_changes_is_not_told_in_full() -> None:
    restart = RestartNeeded({})
    looked(restart, {f"f{number:03}": A for number in range(100)})
    assert restart.condition.reason.endswith(" and 90 more")
