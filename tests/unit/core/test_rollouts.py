"""Who runs with what, by their own word."""

from __future__ import annotations

from datetime import timedelta

from hub.core.rollouts import PATIENCE, REMIND_EVERY, Rollouts
from hub.wire.configstatus import ConfigRefusal
from tests.unit.core.making import WALL

KEY = "engine.a1"


def verdict(rollouts: Rollouts, now: float) -> str:
    return rollouts.stands("engine", "a1", KEY, now).verdict


def test_one_that_has_said_nothing_is_unknown_and_never_reminded() -> None:
    rollouts = Rollouts()
    rollouts.want("engine", 5, 0.0)
    assert verdict(rollouts, 100.0) == "unknown"
    assert list(rollouts.to_remind([KEY], lambda _: 5, 100.0)) == []


def test_a_new_revision_is_pending_then_lagging_until_it_is_said_to_run() -> None:
    rollouts = Rollouts()
    rollouts.want("engine", 5, 0.0)
    assert rollouts.hear(KEY, 5, None, WALL) == "applied"
    assert verdict(rollouts, 0.0) == "applied"
    rollouts.want("engine", 7, 10.0)
    assert verdict(rollouts, 10.0 + PATIENCE - 1) == "pending"
    assert verdict(rollouts, 10.0 + PATIENCE) == "lagging"
    assert rollouts.hear(KEY, 7, None, WALL) == "applied"
    assert verdict(rollouts, 30.0) == "applied"


def test_the_same_word_again_is_no_news_and_keeps_its_time() -> None:
    rollouts = Rollouts()
    rollouts.hear(KEY, 5, None, WALL)
    assert rollouts.hear(KEY, 5, None, WALL + timedelta(seconds=9)) is None
    assert rollouts.stands("engine", "a1", KEY, 0.0).since == WALL


def test_a_refusal_is_told_once_and_over_when_it_runs_something_newer() -> None:
    rollouts = Rollouts()
    rollouts.want("engine", 7, 0.0)
    refusal = ConfigRefusal(revision=7, reason="leverage too high")
    assert rollouts.hear(KEY, 5, refusal, WALL) == "refused"
    assert rollouts.hear(KEY, 5, refusal, WALL) is None
    stands = rollouts.stands("engine", "a1", KEY, 99.0)
    assert (stands.verdict, stands.running, stands.refused) == ("refused", 5, refusal)
    rollouts.want("engine", 8, 100.0)
    assert verdict(rollouts, 100.0) == "pending"
    assert rollouts.hear(KEY, 8, refusal, WALL) == "applied"
    assert rollouts.stands("engine", "a1", KEY, 100.0).refused is None


def test_who_lags_is_reminded_again_and_again_but_not_who_has_answered() -> None:
    rollouts = Rollouts()
    rollouts.hear(KEY, 5, None, WALL)
    rollouts.hear("engine.b2", 5, ConfigRefusal(revision=7, reason="no"), WALL)
    rollouts.want("engine", 7, 0.0)

    def reminded(now: float) -> list[str]:
        return list(rollouts.to_remind(list(rollouts), lambda _: 7, now))

    assert reminded(REMIND_EVERY - 1) == []
    assert reminded(REMIND_EVERY) == [KEY]
    assert reminded(2 * REMIND_EVERY - 1) == []
    assert reminded(2 * REMIND_EVERY) == [KEY]
    rollouts.hear(KEY, 7, None, WALL)
    assert reminded(100.0) == []


def test_who_is_gone_is_forgotten() -> None:
    rollouts = Rollouts()
    rollouts.hear(KEY, 5, None, WALL)
    rollouts.forget([KEY, "nobody.x"])
    assert len(rollouts) == 0
