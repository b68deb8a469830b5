"""What one hub has seen of a canary, and what is to become of it by that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hub.core.canary import GRACE, LONELY, SETTLE, Tried
from hub.core.catalog import Catalog
from hub.core.entry import Entry
from hub.core.rollouts import Word
from hub.core.trial import ASK_EVERY, Trial
from hub.wire.canary import CanaryState
from hub.wire.configstatus import ConfigRefusal
from hub.wire.names import CRITICAL, PASSING, SUSPECT, WARNING, Status
from tests.unit.core.making import WALL, record

STATE = CanaryState(id="c1", since=WALL, bake=60.0)
RUNS = Tried("a1", runs=True)
LAGS = Tried("a1", runs=False)
REFUSES = Tried("a1", runs=False, refusal=ConfigRefusal(revision=7, reason="no such venue"))


class Seen:
    """An instance of which a hub hears, and a canary that it tries since revision 7."""

    def __init__(self) -> None:
        self.catalog = Catalog(lambda service: None)
        self.trial = Trial(STATE, 7, 0.0)
        self._place()

    def _place(self, revision: int = 1, **given: Any) -> None:
        entry = self.catalog.apply(record(**given), revision, adopt=True)
        assert entry is not None
        self.entry: Entry = entry

    def becomes(self, status: Status, later: float = 1.0) -> None:
        self.catalog.set_state("engine.a1", status, "said so", 0, WALL + timedelta(seconds=later))

    def stands(self, running: int | None = 7, refused: ConfigRefusal | None = None) -> Tried:
        return self.trial.stands(self.entry, Word(running, WALL, refused), 7)


def looked(trial: Trial, tried: list[Tried], start: int, end: int) -> list[str]:
    """What was to become of it, second by second."""
    return [trial.judged(tried, float(second)).step for second in range(start, end)]


def test_a_critical_moment_between_two_looks_is_seen() -> None:
    seen = Seen()
    assert not seen.stands().has_fallen
    seen.becomes(CRITICAL)
    seen.becomes(PASSING)
    assert seen.stands() == Tried("a1", runs=True, has_fallen=True)


def test_whoever_was_critical_before_or_is_less_than_that_has_not_fallen() -> None:
    seen = Seen()
    seen.becomes(CRITICAL, later=-1.0)
    assert seen.stands() == Tried("a1", runs=True, is_critical=True)
    seen.becomes(WARNING)
    seen.becomes(PASSING)
    assert not seen.stands().has_fallen
    seen.becomes(CRITICAL)
    assert seen.stands().has_fallen


def test_whoever_became_critical_before_a_hub_has_looked_for_the_first_time_has_fallen() -> None:
    seen = Seen()
    seen.becomes(CRITICAL)
    assert seen.stands().has_fallen


@pytest.mark.parametrize(
    ("running", "revision", "is_blamed"),
    [(None, 7, True), (3, 7, True), (3, 8, True), (3, 6, False), (7, 8, False), (8, 9, False)],
)
def test_a_refusal_is_one_of_the_canary_unless_it_was_run_with_before(
    running: int | None, revision: int, is_blamed: bool
) -> None:
    refused = ConfigRefusal(revision=revision, reason="no")
    assert (Seen().stands(running, refused).refusal is refused) is is_blamed


def test_a_rule_once_broken_stays_broken_until_somebody_acts_upon_it() -> None:
    trial = Trial(STATE, 7, 0.0)
    assert looked(trial, [REFUSES], 1, 2) == ["roll back"]
    assert looked(trial, [RUNS], 2, 4) == ["roll back"] * 2
    assert trial.judged([], 5.0).reason == "refused by a1: no such venue"


def test_what_was_noted_of_one_who_left_before_a_look_counts() -> None:
    trial = Trial(STATE, 7, 0.0)
    trial.note(REFUSES)
    assert trial.is_tried
    assert looked(trial, [RUNS], 1, 2) == ["roll back"]


def test_it_is_baked_for_as_long_as_somebody_runs_with_it() -> None:
    trial = Trial(STATE, 7, 0.0)
    steps = looked(trial, [RUNS], 1, 20) + looked(trial, [], 20, 40) + looked(trial, [RUNS], 40, 90)
    assert steps.count("promote") == 10
    assert steps.index("promote") + 1 == 60 + 20


def test_one_that_nobody_applies_or_is_there_to_try_is_taken_back() -> None:
    assert looked(Trial(STATE, 7, 0.0), [LAGS], 1, 200).index("roll back") + 1 == 60 + GRACE
    alone = Trial(STATE, 7, 0.0)
    assert looked(alone, [], 1, 200).index("roll back") == LONELY
    assert not alone.is_tried


def test_what_was_baked_before_this_hub_came_counts_but_it_watches_for_a_while() -> None:
    assert looked(Trial(STATE, 7, 0.0, baked=3600.0), [RUNS], 1, 30).index("promote") + 1 == SETTLE
    assert looked(Trial(STATE, 7, 0.0, baked=-3600.0), [RUNS], 1, 90).index("promote") + 1 == 60


def test_time_in_which_the_hub_was_deaf_does_not_count_and_then_it_watches_for_a_while() -> None:
    trial = Trial(STATE, 7, 0.0)
    assert looked(trial, [RUNS], 1, 59) == ["bake"] * 58
    assert trial.judged([RUNS], 659.0, hearing_since=658.9).step == "bake"
    after = [trial.judged([RUNS], 659.0 + second, hearing_since=658.9).step for second in range(1, 20)]
    assert after.index("promote") + 1 == SETTLE


def test_nobody_is_taken_for_late_or_gone_by_a_hub_that_was_deaf() -> None:
    for tried in ([LAGS], []):
        trial = Trial(STATE, 7, 0.0)
        assert looked(trial, tried, 1, 20) == ["bake"] * 19
        assert trial.judged(tried, 619.0, hearing_since=618.9).step == "bake"
        assert trial.judged(tried, 620.0, hearing_since=618.9).step == "bake"


def test_whoever_may_be_dead_proves_nothing() -> None:
    seen = Seen()
    assert seen.stands().runs
    assert not seen.trial.stands(seen.entry, Word(7, WALL), 7, is_held=True).runs
    seen.becomes(SUSPECT)
    assert not seen.stands().runs


def test_who_has_said_nothing_is_asked_now_and_then() -> None:
    trial = Trial(STATE, 7, 0.0)
    assert [trial.asks("engine.a1", now) for now in (0.0, 1.0, ASK_EVERY - 1, ASK_EVERY, ASK_EVERY + 1)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert trial.asks("engine.a2", 1.0)
