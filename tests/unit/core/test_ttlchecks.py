from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.core.ttlchecks import Found, TtlChecks
from hub.wire.checks import CheckReport, CheckState, TtlCheck

START = datetime(2026, 1, 31, tzinfo=UTC)
A = "engine.a1"


class Hub:
    """A hub that hears reports; what it found last of each check, and how often that was news."""

    def __init__(self) -> None:
        self.checks = TtlChecks()
        self.now = 100.0
        self.hearing_since = 0.0
        self.states: dict[str, CheckState] = {}
        self.news = 0

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def declare(self, *checks: TtlCheck, stored: Mapping[str, CheckState] | None = None) -> None:
        self._take(self.checks.declare(A, checks, stored or {}, self.now, self.wall()))

    def report(self, name: str = "queue", **given: Any) -> None:
        self._take(self.checks.report(A, {name: CheckReport(**given)}, self.now, self.wall))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.25
            self._take(self.checks.tick(self.now, self.hearing_since, self.wall))

    def _take(self, found: list[Found]) -> None:
        for key, state in found:
            assert key == A
            self.states[state.name] = state
            self.news += 1

    @property
    def status(self) -> str:
        return self.states["queue"].status


def hub(**given: Any) -> Hub:
    made = Hub()
    made.declare(TtlCheck(name="queue", ttl=30.0, **given))
    return made


def test_before_the_first_report_it_passes_for_one_ttl() -> None:
    made = hub()
    assert (made.status, made.states["queue"].output) == ("passing", "not reported on yet")
    made.run(30.0)
    assert made.status == "passing"
    made.run(1.0)
    assert (made.status, made.states["queue"].output) == ("critical", "no report for 30 s")


def test_silence_makes_it_what_its_severity_says() -> None:
    made = hub(severity="warning")
    made.run(31.0)
    assert made.status == "warning"


def test_a_silent_check_that_is_declared_anew_is_what_its_new_severity_says() -> None:
    made = hub()
    made.run(31.0)
    made.declare(TtlCheck(name="queue", ttl=30.0, severity="warning"), stored=dict(made.states))
    made.run(1.0)
    assert made.status == "warning"
    news = made.news
    made.run(100.0)
    assert made.news == news


def test_a_report_is_what_counts_until_the_next_or_until_silence() -> None:
    made = hub()
    made.report(status="warning", message="queue at 80 %")
    assert (made.status, made.states["queue"].output) == ("warning", "reported by the service: queue at 80 %")
    made.run(29.0)
    made.report(status="passing")
    assert made.status == "passing"
    made.run(29.0)
    assert made.status == "passing"
    made.run(2.0)
    assert made.status == "critical"
    made.report(status="critical", message="no report from the disk")
    assert made.states["queue"].output == "reported by the service: no report from the disk"
    made.run(31.0)
    assert made.states["queue"].output.startswith("no report for")


def test_the_same_report_again_is_no_news() -> None:
    made = hub()
    for _ in range(40):
        made.report(status="warning", message="queue took 3.2 s")
        made.run(10.0)
        made.report(status="warning", message="queue took 4.7 s")
        made.run(10.0)
    assert made.news == 2


def test_a_silence_that_lasts_is_told_once() -> None:
    made = hub()
    made.run(300.0)
    assert made.news == 2


def test_after_the_hubs_own_deafness_it_fails_only_after_a_full_ttl_of_hearing() -> None:
    made = hub()
    made.run(20.0)
    made.hearing_since = made.now + 20.0
    made.now += 20.0
    made.run(30.0)
    assert made.status == "passing"
    made.run(1.0)
    assert made.status == "critical"


def test_reports_on_what_is_not_declared_are_none() -> None:
    made = hub()
    made.report("other", status="critical")
    made.checks.forget(A)
    made.report(status="critical")
    assert made.status == "passing"
    assert "other" not in made.states
    made.run(100.0)
    assert (made.status, len(made.checks)) == ("passing", 0)


def test_what_is_stored_is_where_it_begins() -> None:
    made = Hub()
    stored = CheckState(name="queue", status="critical", output="no report for 40 s", since=START)
    made.declare(TtlCheck(name="queue", ttl=30.0), stored={"queue": stored})
    made.run(100.0)
    assert made.news == 0
    made.report()
    assert made.status == "passing"


def test_registering_again_forgets_no_report() -> None:
    made = hub()
    made.run(20.0)
    made.report(status="warning", message="late")
    made.declare(TtlCheck(name="queue", ttl=10.0), TtlCheck(name="disk", ttl=10.0))
    assert (made.status, made.states["disk"].status) == ("warning", "passing")
    made.run(11.0)
    assert made.status == "critical"


def test_of_two_tellings_of_the_same_the_stored_one_counts() -> None:
    made = hub()
    made.run(31.0)
    stored = CheckState(name="queue", status="critical", output="no report for 31 s", since=START)
    made.declare(TtlCheck(name="queue", ttl=30.0), stored={"queue": stored})
    assert made.states["queue"] == stored
    other = CheckState(name="queue", status="passing", output="", since=START)
    made.declare(TtlCheck(name="queue", ttl=30.0), stored={"queue": other})
    assert made.states["queue"] == stored
