"""The rules of supervision: when a task is stuck, how long to wait before the next start, when to despair."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.supervision import PATIENCE, STEADY_AFTER, TOO_OFTEN, Step, Vigil, wait_before


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.1), (2, 0.4), (3, 1.6), (4, 6.4), (5, 10.0), (1000, 10.0)])
def test_the_wait_before_a_start_grows_with_the_failures_up_to_ten_seconds(failures: int, seconds: float) -> None:
    assert wait_before(failures) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("silent_for", "step", "state"),
    [(0, Step.LEAVE, "running"), (5, Step.LEAVE, "running"), (5.1, Step.CANCEL, "running")],
)
def test_a_task_is_stuck_when_it_does_not_beat_within_its_bound(silent_for: float, step: Step, state: str) -> None:
    vigil = Vigil(5, 100)
    vigil.beat(110)
    assert vigil.step(110 + silent_for) == step
    assert vigil.state(110 + silent_for) == state


def test_a_cancelled_task_has_some_time_to_end_and_is_then_cancelled_again_and_despaired_of() -> None:
    vigil = Vigil(5, 0)
    vigil.cancelled(6)
    assert [vigil.step(6 + PATIENCE / 2), vigil.step(6 + PATIENCE)] == [Step.LEAVE, Step.CANCEL]
    assert [vigil.state(6 + PATIENCE / 2), vigil.state(6 + PATIENCE)] == ["stuck", "failing"]
    vigil.cancelled(6 + PATIENCE)
    assert vigil.state(6 + PATIENCE * 1.5) == "failing", "to be cancelled again is no new hope"
    assert vigil.last_error == "no sign of life for 6.0 s"


def test_a_cancelled_task_that_beats_again_is_alive() -> None:
    vigil = Vigil(5, 0)
    vigil.cancelled(6)
    vigil.beat(7)
    assert (vigil.step(7), vigil.state(7)) == (Step.LEAVE, "running")


def test_a_task_that_was_stuck_has_that_for_its_cause_and_one_that_failed_its_error() -> None:
    vigil = Vigil(5, 0)
    vigil.cancelled(6)
    vigil.ended(7, "it was cancelled")
    assert vigil.last_error == "no sign of life for 6.0 s"
    vigil.started(8)
    vigil.ended(9, "broken")
    assert vigil.last_error == "broken"


def test_a_task_recovers_once_it_has_been_steady() -> None:
    vigil = Vigil(5, 0)
    vigil.ended(1, "broken")
    assert vigil.state(1) == "restarting"
    assert [vigil.step(1.05), vigil.step(1.1)] == [Step.LEAVE, Step.START]
    vigil.started(2)
    vigil.beat(2 + STEADY_AFTER)
    assert vigil.state(2 + STEADY_AFTER - 1) == "recovering"
    assert vigil.state(2 + STEADY_AFTER) == "running"
    vigil.ended(2 + STEADY_AFTER, "broken")
    assert vigil.step(2 + STEADY_AFTER + wait_before(1)) == Step.START, "the failures before are forgotten"


def test_what_nobody_could_do_while_the_process_stood_still_is_held_against_nobody() -> None:
    vigil = Vigil(5, 0)
    vigil.stood_still(100, now=103)
    assert vigil.step(104) == Step.LEAVE
    assert vigil.age(104) == 4
    vigil.stood_still(100, now=104)
    assert vigil.age(106) == 2, "nobody has beaten in the future"


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        ("running", "passing", ""),
        ("restarting", "warning", "the task sweep ended (broken) and is being restarted"),
        ("recovering", "warning", "the task sweep was restarted (broken)"),
        ("stuck", "warning", "the task sweep is stuck (no sign of life for 6.0 s) and is being restarted"),
        ("failing", "critical", "the task sweep keeps failing (broken)"),
        (
            "stubborn",
            "critical",
            "the task sweep is stuck (no sign of life for 6.0 s) and does not end when it is cancelled",
        ),
    ],
)
def test_each_state_is_told_in_words(state: str, status: str, words: str) -> None:
    vigil, now = Vigil(5, 0), 6.0
    if state in ("restarting", "recovering"):
        vigil.ended(6, "broken")
    if state == "recovering":
        vigil.started(6)
    if state in ("stuck", "stubborn"):
        vigil.cancelled(6)
        now = 6.0 if state == "stuck" else 6.0 + PATIENCE
    for _ in range(TOO_OFTEN if state == "failing" else 0):
        vigil.ended(6, "broken")
    assert vigil.condition("sweep", now) == (status, words)


@given(
    lives=st.lists(st.floats(0, STEADY_AFTER - 0.01), min_size=TOO_OFTEN, max_size=20),
    bound=st.floats(0.1, 100),
    stuck=st.booleans(),
)
def test_a_task_that_fails_again_and_again_is_despaired_of_whatever_its_bound_and_tried_on(
    lives: list[float], bound: float, stuck: bool
) -> None:
    now = 0.0
    vigil = Vigil(bound, now)
    for number, life in enumerate(lives, start=1):
        now += life
        vigil.beat(now)
        if stuck:
            now += bound + 0.1
            assert vigil.step(now) == Step.CANCEL
            vigil.cancelled(now)
        vigil.ended(now, "broken")
        assert (vigil.state(now) == "failing") is (number >= TOO_OFTEN)
        now += 10.0
        assert vigil.step(now) == Step.START, "however often it failed, it is tried again within ten seconds"
        vigil.started(now)


@given(st.lists(st.tuples(st.sampled_from(["beat", "pass", "end"]), st.floats(0, 60)), max_size=60))
def test_whatever_happens_a_task_is_started_only_when_it_is_not_there(events: list[tuple[str, float]]) -> None:
    now, there = 0.0, True
    vigil = Vigil(5, now)
    for what, seconds in events:
        now += seconds
        if there and what == "beat":
            vigil.beat(now)
        elif there and what == "end":
            vigil.ended(now, "broken")
            there = False
        match vigil.step(now):
            case Step.START:
                assert not there
                vigil.started(now)
                there = True
            case Step.CANCEL:
                assert there
                vigil.cancelled(now)
            case Step.LEAVE:
                pass
        assert vigil.age(now) >= 0
