"""What a replica makes of the states that others have stored."""

from __future__ import annotations

import pytest

from hub.wire.names import ReportedStatus
from tests.unit.core.hearers import A, hearer


def test_a_stored_critical_is_adopted_and_the_next_beat_improves_it() -> None:
    hub = hearer()
    hub.track(status="critical", beat=False)
    assert hub.run(1.0) == []
    hub.beat()
    assert hub.statuses[A] == "passing"


def test_a_stored_suspect_is_adopted_and_the_next_beat_improves_it() -> None:
    hub = hearer()
    hub.track(status="suspect", beat=False)
    assert hub.run(1.0) == []
    hub.beat()
    assert hub.statuses[A] == "passing"


def test_a_stored_warning_lasts_until_a_beat_says_otherwise() -> None:
    hub = hearer(status="warning", beat=False)
    assert hub.run(20.0, [A]) == []
    hub.beat(A, "passing")
    assert hub.statuses[A] == "passing"


def test_a_stored_warning_gives_way_to_what_was_last_said_here_at_the_next_beat() -> None:
    hub = hearer()
    hub.beat(A, "passing")
    hub.track(status="warning", beat=False)
    assert hub.run(1.0) == []
    hub.beat()
    assert hub.statuses[A] == "passing"


@pytest.mark.parametrize("said", ["warning", "critical"])
def test_a_report_heard_here_worsens_what_is_stored(said: ReportedStatus) -> None:
    hub = hearer()
    hub.beat(A, said)
    hub.track(status="passing", beat=False)
    assert [verdict.status for verdict in hub.run(1.0)] == [said]


def test_the_silence_heard_here_worsens_what_is_stored() -> None:
    hub = hearer()
    hub.run(5.0)
    hub.track(status="warning", beat=False)
    hub.run(1.3)
    assert hub.statuses[A] == "critical"


def test_whom_another_replica_heard_is_given_a_ttl_to_be_heard_here() -> None:
    hub = hearer()
    hub.run(20.0)
    hub.track(status="passing", beat=False)
    assert hub.run(5.9) == []
    hub.run(0.3)
    assert hub.statuses[A] == "critical"


def test_an_instance_learnt_is_given_a_ttl_to_be_heard() -> None:
    hub = hearer(beat=False)
    hub.run(5.9)
    assert hub.statuses[A] == "passing"
    hub.run(0.3)
    assert hub.statuses[A] == "critical"


def test_a_registration_of_a_stored_critical_one_comes_out_at_the_next_tick() -> None:
    hub = hearer(status="critical")
    assert [verdict.status for verdict in hub.run(0.1)] == ["passing"]
