"""Flap damping as it is lived."""

from __future__ import annotations

import pytest

from hub.core.damping import MEMORY
from tests.unit.core.hearers import A, critical_again, hearer


def test_each_relapse_doubles_the_time_it_must_behave() -> None:
    hub = hearer()
    for relapses, asked in enumerate([0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]):
        hub.run(6.5)
        assert (hub.statuses[A], hub.relapses[A]) == ("critical", relapses)
        start = hub.now
        hub.run(asked + 1.0, [A], every=0.5)
        assert hub.statuses[A] == "passing"
        assert hub.since[A] - start == pytest.approx(asked, abs=0.7)


def test_an_instance_under_probation_says_why_it_is_critical() -> None:
    hub = hearer()
    critical_again(hub, 3)
    hub.beat()
    assert hub.statuses[A] == "critical"
    assert hub.reasons[A] == "flapping: passing again after 8 s of good behaviour"


def test_falling_silent_under_probation_starts_it_anew_and_is_no_further_relapse() -> None:
    hub = hearer()
    critical_again(hub, 3)
    hub.run(5.0, [A])
    hub.run(6.5)
    assert (hub.statuses[A], hub.relapses[A]) == ("critical", 3)
    assert hub.reasons[A].startswith("no heartbeat")
    hub.run(7.0, [A], every=1.0)
    assert hub.statuses[A] == "critical"
    hub.run(3.0, [A], every=1.0)
    assert hub.statuses[A] == "passing"


def test_an_instance_under_probation_is_not_removed_since_it_lives() -> None:
    hub = hearer(deregister_after=1.0)
    critical_again(hub, 6)
    for _ in range(20):
        hub.run(2.0, [A])
        assert hub.liveness.due_removals(hub.now) == []
    assert hub.statuses[A] == "critical"


@pytest.mark.parametrize("kind", ["permanent", "probe"])
def test_one_under_probation_that_becomes_one_that_does_not_beat_need_not_prove_itself_by_beats(kind: str) -> None:
    hub, other = hearer(), hearer()
    critical_again(hub, 2)
    critical_again(other, 2)
    hub.liveness.registered(A, hub.now)
    hub.track(kind=kind, status="critical", relapses=hub.relapses[A])
    hub.run(1.0)
    assert hub.statuses[A] == "passing"
    other.track(kind=kind, status="critical", relapses=hub.relapses[A], beat=False)
    other.run(1.0)
    assert other.statuses[A] == "passing", "and so it is to a hub that only learns of it"
    hub.track(kind="heartbeat")
    hub.run(6.5)
    assert hub.statuses[A] == "critical"


def test_reports_that_flap_are_damped_as_well() -> None:
    hub = hearer()
    hub.beat(A, "critical")
    hub.beat(A, "passing")
    assert hub.statuses[A] == "passing"
    hub.beat(A, "critical")
    hub.beat(A, "passing")
    assert (hub.statuses[A], hub.relapses[A]) == ("critical", 1)
    hub.run(3.0, [A], every=1.0)
    assert hub.statuses[A] == "passing"


def test_relapses_are_forgotten_after_a_quiet_time_and_that_is_told() -> None:
    hub = hearer()
    critical_again(hub, 2)
    hub.run(5.0, [A], every=0.5)
    verdicts = hub.run(MEMORY + 1.0, [A])
    assert [(verdict.status, verdict.relapses) for verdict in verdicts] == [("passing", 0)]


def test_a_late_relapse_is_none() -> None:
    hub = hearer()
    critical_again(hub, 1)
    hub.run(5.0, [A], every=0.5)
    hub.run(MEMORY + 1.0, [A])
    hub.run(7.0)
    assert (hub.statuses[A], hub.relapses[A]) == ("critical", 0)


def test_a_restarted_hub_does_not_forget_relapses() -> None:
    hub = hearer(status="critical", relapses=3, beat=False)
    hub.run(7.5, [A], every=0.5)
    assert hub.statuses[A] == "critical"
    hub.run(1.5, [A], every=0.5)
    assert (hub.statuses[A], hub.relapses[A]) == ("passing", 3)
