"""Saying which services one uses: at a change and from time to time, and nothing in between."""

from __future__ import annotations

from hub.client.uses import MOST, PERIOD, Uses


def test_what_is_used_is_said_at_a_change_and_once_a_minute() -> None:
    uses = Uses()
    said = [uses.to_say(("engine",), now) for now in (0.0, 2.0, PERIOD - 0.1, PERIOD, PERIOD + 2)]
    assert said == [("engine",), (), (), ("engine",), ()]
    assert uses.to_say(("engine", "ledger"), PERIOD + 4) == ("engine", "ledger")
    assert uses.to_say(("ledger",), PERIOD + 6) == ("ledger",)


def test_who_uses_nobody_says_nothing() -> None:
    uses = Uses()
    assert [uses.to_say((), now) for now in (0.0, PERIOD, 2 * PERIOD)] == [(), (), ()]


def test_what_may_have_been_missed_is_said_again() -> None:
    uses = Uses()
    uses.to_say(("engine",), 100.0)
    uses.repeat()
    assert [uses.to_say(("engine",), 101.0), uses.to_say(("engine",), 102.0)] == [("engine",), ()]


def test_no_more_is_said_than_a_beat_may_hold() -> None:
    names = tuple(f"s{number:03}" for number in range(MOST + 10))
    assert Uses().to_say(names, 0.0) == names[:MOST]
