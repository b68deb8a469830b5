"""One check: what a row of looks makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.checks import RETELL, Standing, differs
from hub.core.damping import MEMORY, probation
from hub.wire.checks import CheckState, HttpCheck

START = datetime(2026, 1, 31, tzinfo=UTC)


class Looker:
    """A check that is looked at every `every` seconds, and what became news."""

    def __init__(self, *, every: float = 10.0, **given: Any) -> None:
        self.every = every
        self.standing = Standing(HttpCheck(name="health", **given))
        self.now = 100.0
        self.news: list[CheckState] = []

    @property
    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def look(self, pattern: str, output: str = "", *, keep: bool = False) -> list[CheckState]:
        """Find it well (`+`) or not (`-`), look by look; returns what is news."""
        news: list[CheckState] = []
        for sign in pattern:
            self.now += self.every
            said = output or ("200 OK" if sign == "+" else "connection refused")
            state = self.standing.observe(sign == "+", said, self.now, self.wall, keep=keep)
            if state is not None:
                news.append(state)
        self.news += news
        return news


@pytest.mark.parametrize(
    ("successes", "failures", "looks", "statuses"),
    [
        (1, 2, "", []),
        (1, 2, "+", ["passing"]),
        (1, 2, "-", []),
        (1, 2, "--", ["critical"]),
        (1, 1, "-", ["critical"]),
        (2, 2, "+", []),
        (2, 2, "+-+-", []),
        (2, 2, "++", ["passing"]),
        (1, 2, "+-+-+-+", ["passing"]),
        (1, 3, "+--+--+", ["passing"]),
        (1, 2, "+--", ["passing", "critical"]),
        (1, 2, "+-----", ["passing", "critical"]),
        (1, 2, "+--+", ["passing", "critical", "passing"]),
        (3, 2, "+++--++-++", ["passing", "critical"]),
        (3, 2, "+++--++-+++", ["passing", "critical", "passing"]),
    ],
)
def test_a_check_changes_after_so_many_in_a_row(successes: int, failures: int, looks: str, statuses: list[str]) -> None:
    looker = Looker(successes_before_passing=successes, failures_before_critical=failures)
    assert [state.status for state in looker.look(looks)] == statuses


def test_a_state_says_what_was_found_and_since_when() -> None:
    looker = Looker(severity="warning", failures_before_critical=1)
    [well] = looker.look("+")
    [bad] = looker.look("-")
    assert well == CheckState(name="health", status="passing", output="200 OK", since=START + timedelta(seconds=110))
    assert (bad.status, bad.output, bad.since) == ("warning", "connection refused", START + timedelta(seconds=120))


def test_what_is_found_while_a_state_lasts_is_told_only_if_it_says_something_else() -> None:
    looker = Looker()
    looker.look("--", "no answer within 3.0 s")
    assert looker.look("-" * 20, "no answer within 3.1 s") == []
    [other] = looker.look("-" * 20, "500 Internal Server Error")
    assert (other.output, other.since) == ("500 Internal Server Error", START + timedelta(seconds=120))


def test_a_check_that_says_something_else_each_time_is_not_told_of_each_time() -> None:
    looker = Looker(every=1.0)
    looker.look("--")
    told = 0
    for number in range(300):
        told += len(looker.look("-", f"the request {number} failed"))
    assert 300 / RETELL - 1 <= told <= 300 / RETELL + 1


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("no answer within 3.0 s", "no answer within 2.9 s", False),
        ("200 OK in 12 ms", "200 OK in 140 ms", False),
        ("200 OK, 1.5 KiB", "200 OK, 12 bytes", False),
        ("500 Internal Server Error", "503 Service Unavailable", True),
        ("connection refused", "no answer within 3 s", True),
    ],
)
def test_how_long_and_how_large_are_no_difference(one: str, other: str, expected: bool) -> None:
    assert differs(one, other) is expected


def test_each_relapse_soon_after_a_recovery_lengthens_how_long_it_must_succeed() -> None:
    looker = Looker(every=0.5, failures_before_critical=1)
    looker.look("+")
    for relapses in range(9):
        [failed] = looker.look("-")
        assert failed.flapping == (relapses > 0)
        assert ("flapping: passing again after" in failed.output) == (relapses > 0)
        began, due = looker.now + looker.every, probation(relapses)
        while not looker.standing.passes:
            looker.look("+")
        assert due <= looker.now - began <= due + looker.every
        assert looker.standing.state is not None
        assert looker.standing.state.flapping == (relapses > 0)
    assert probation(8) == 60.0


def test_a_failure_within_the_time_of_success_starts_it_anew() -> None:
    looker = Looker(every=0.5, failures_before_critical=1)
    looker.look("+-+-+-")
    assert "after 2 s of success; connection refused" in looker.news[-1].output
    looker.look("++++-" * 10)
    assert not looker.standing.passes


def test_while_it_flaps_it_is_said_how_long_it_has_to_succeed_and_what_was_found() -> None:
    looker = Looker(every=8.0, failures_before_critical=1)
    looker.look("+-+-++-++-")
    assert looker.news[-1].output == "flapping: passing again after 8 s of success; connection refused"
    assert looker.look("+") == []
    [passing] = looker.look("+")
    assert (passing.status, passing.output, passing.flapping) == ("passing", "200 OK", True)


def test_relapses_are_forgotten_after_it_has_passed_for_long() -> None:
    looker = Looker(failures_before_critical=1)
    looker.look("+-+-++")
    [calm] = looker.look("+" * int(MEMORY / looker.every + 1))
    assert (calm.status, calm.flapping) == ("passing", False)
    [failed] = looker.look("-")
    assert not failed.flapping


def test_an_endpoint_that_flips_each_time_changes_its_state_ever_less_often() -> None:
    looker = Looker(every=1.0, failures_before_critical=1)
    looker.look("+-" * 300)
    changes = sum(a.status != b.status for a, b in pairwise(looker.news))
    assert changes <= 4
    assert len(looker.news) <= changes + 1 + 600 / RETELL
    assert looker.news[-1].flapping


def test_to_be_taken_over_changes_nothing_by_itself() -> None:
    looker = Looker()
    told = CheckState(name="health", status="critical", output="connection refused", since=START)
    looker.standing.adopt(told, looker.now)
    assert looker.standing.state is told
    assert looker.look("-") == []
    [well] = looker.look("+")
    assert well.status == "passing"


def test_whoever_takes_over_a_flapping_check_goes_on_damping_it() -> None:
    looker = Looker(every=1.0, failures_before_critical=1)
    looker.standing.adopt(CheckState(name="health", status="passing", output="", since=START, flapping=True), 100.0)
    [failed] = looker.look("-")
    assert failed.output.startswith("flapping: passing again after 4 s of success")


def test_a_check_that_is_kept_does_not_fail_until_it_no_longer_is() -> None:
    looker = Looker()
    looker.look("+")
    assert looker.look("-----", keep=True) == []
    assert [state.status for state in looker.look("-")] == ["critical"]


def test_a_check_of_which_nothing_is_known_is_not_kept() -> None:
    assert [state.status for state in Looker().look("--", keep=True)] == ["critical"]


def test_an_output_of_any_length_is_cut() -> None:
    [state] = Looker().look("+", "x" * 10_000)
    assert len(state.output) == 256


def test_a_check_that_is_declared_anew_with_another_severity_fails_with_that_one() -> None:
    before = Looker()
    before.look("+--")
    after = Looker(severity="warning")
    assert before.standing.state is not None
    after.now = before.now
    after.standing.adopt(before.standing.state, after.now)
    assert after.look("-") == []
    assert [(state.status, state.flapping) for state in after.look("-")] == [("warning", False)]
    assert after.look("--") == []


def test_a_stranger_s_state_of_the_end_of_time_is_followed_by_what_is_found() -> None:
    looker = Looker()
    end = datetime.max.replace(tzinfo=UTC)
    looker.standing.adopt(CheckState(name="health", status="critical", output="told", since=end), looker.now)
    [state] = looker.look("+")
    assert (state.status, state.since) == ("passing", end)


@given(
    looks=st.lists(st.booleans(), max_size=200),
    successes=st.integers(1, 4),
    failures=st.integers(1, 4),
    every=st.sampled_from([1.0, 5.0, 30.0]),
)
def test_whatever_is_found_a_state_never_changes_without_enough_in_a_row(
    looks: list[bool], successes: int, failures: int, every: float
) -> None:
    looker = Looker(every=every, successes_before_passing=successes, failures_before_critical=failures)
    row, before = 0, None
    for number, ok in enumerate(looks):
        row = row + 1 if number and looks[number - 1] == ok else 1
        for state in looker.look("+" if ok else "-"):
            if before is None or state.status != before:
                assert (state.status == "passing") == ok
                assert row >= (successes if ok else failures)
            before = state.status
    changes = [state.status for state in looker.news]
    flips = sum(a != b for a, b in pairwise(changes))
    assert flips <= 2 + len(looks) / min(successes, failures)
