"""Silence, suspicion, and what an instance says of itself: one table or story per rule."""

from __future__ import annotations

import pytest

from hub.wire.names import Liveness as Kind
from hub.wire.names import ReportedStatus, Status
from tests.unit.core.hearers import A, hearer

# --- silence


def test_an_instance_that_beats_stays_passing_and_is_never_mentioned() -> None:
    hub = hearer()
    assert hub.run(600.0, [A]) == []


@pytest.mark.parametrize("ttl", [0.5, 1.0, 6.0, 30.0])
def test_a_silent_instance_is_critical_one_tick_after_its_ttl_and_not_before(ttl: float) -> None:
    hub = hearer(ttl=ttl)
    hub.run(ttl - 0.1)
    assert hub.statuses[A] == "passing"
    hub.run(0.3)
    assert hub.statuses[A] == "critical"
    assert hub.reasons[A].startswith("no heartbeat for ")
    assert hub.since[A] - 10.0 == pytest.approx(ttl + 0.1, abs=0.11)


def test_a_critical_instance_is_passing_on_its_next_beat() -> None:
    hub = hearer()
    hub.run(7.0)
    verdict = hub.beat()
    assert verdict is not None
    assert (verdict.status, verdict.reason, verdict.relapses) == ("passing", "", 0)


def test_a_beat_later_than_the_ttl_that_comes_before_the_tick_is_in_time() -> None:
    hub = hearer()
    hub.run(6.0)
    hub.sleep(0.05)
    hub.beat()
    assert hub.tick() == []


def test_a_shorter_ttl_counts_from_the_update_that_brings_it() -> None:
    hub = hearer(ttl=60.0)
    hub.run(10.0)
    hub.track(ttl=2.0)
    hub.run(1.9)
    assert hub.statuses[A] == "passing"
    hub.run(0.3)
    assert hub.statuses[A] == "critical"


def test_an_update_learnt_from_elsewhere_does_not_prolong_a_life() -> None:
    hub = hearer()
    hub.run(5.0)
    hub.track(beat=False)
    hub.run(1.3)
    assert hub.statuses[A] == "critical"


def test_a_registration_counts_as_a_beat() -> None:
    hub = hearer()
    hub.run(5.0)
    hub.track()
    hub.run(5.0)
    assert hub.statuses[A] == "passing"


def test_a_forgotten_instance_is_spoken_of_no_more() -> None:
    hub = hearer()
    hub.forget()
    hub.forget()
    assert hub.run(100.0) == []
    assert hub.liveness.due_removals(hub.now) == []


# --- suspicion


def test_a_lost_connection_makes_suspect_at_once_until_the_next_beat() -> None:
    hub = hearer()
    hub.liveness.connected(A, hub.now)
    verdict = hub.disconnect()
    assert verdict is not None
    assert (verdict.status, verdict.reason) == ("suspect", "connection lost")
    assert hub.disconnect() is None
    hub.beat()
    assert hub.statuses[A] == "passing"


def test_a_reconnect_that_overlaps_the_old_connection_arouses_no_suspicion() -> None:
    hub = hearer()
    hub.liveness.connected(A, hub.now)
    hub.liveness.connected(A, hub.now)
    assert hub.disconnect() is None
    assert hub.disconnect() is not None


def test_the_list_of_connections_replaces_what_was_counted() -> None:
    hub = hearer()
    hub.liveness.connections({A: 2, "engine.other": 1})
    assert hub.disconnect() is None
    assert hub.disconnect() is not None


def test_suspicion_alone_never_evicts() -> None:
    hub = hearer(kind="permanent")
    hub.disconnect()
    hub.run(10_000.0 / 50)
    assert hub.statuses[A] == "suspect"
    assert hub.liveness.due_removals(hub.now) == []


def test_a_suspect_one_that_stays_silent_is_critical_at_its_ttl_as_usual() -> None:
    hub = hearer()
    hub.run(3.0)
    hub.disconnect()
    hub.run(2.9)
    assert hub.statuses[A] == "suspect"
    hub.run(0.3)
    assert hub.statuses[A] == "critical"


def test_a_critical_one_is_not_made_better_by_suspicion() -> None:
    hub = hearer()
    hub.run(7.0)
    assert hub.disconnect() is None
    assert hub.run(1.0) == []


def test_the_end_of_a_connection_of_nobody_is_ignored() -> None:
    assert hearer().liveness.disconnected("nobody.n1", 11.0) is None


# --- permanent, and probed for now


@pytest.mark.parametrize("kind", ["permanent", "probe"])
def test_a_permanent_instance_that_never_beats_stays_as_it_is(kind: Kind) -> None:
    hub = hearer(kind=kind)
    assert hub.run(300.0) == []


@pytest.mark.parametrize("kind", ["permanent", "probe"])
def test_a_permanent_instance_that_has_beaten_is_marked_when_it_falls_silent_and_never_removed(kind: Kind) -> None:
    hub = hearer(kind=kind, deregister_after=1.0)
    hub.track("engine.other")
    hub.run(5.0, ["engine.other"])
    hub.beat()
    hub.run(5.9, ["engine.other"])
    assert hub.statuses[A] == "passing"
    hub.run(100.0, ["engine.other"])
    assert hub.statuses[A] == "critical"
    assert hub.liveness.due_removals(hub.now) == []


def test_a_permanent_instance_that_registers_again_has_not_promised_to_beat() -> None:
    hub = hearer(kind="permanent")
    hub.disconnect()
    verdict = hub.liveness.registered(A, hub.now)
    assert verdict is not None
    assert verdict.status == "passing"
    assert hub.run(300.0) == []


def test_a_new_connection_ends_the_suspicion_of_one_that_does_not_beat() -> None:
    hub = hearer(kind="permanent")
    hub.disconnect()
    hub.liveness.connected(A, hub.now)
    assert [verdict.status for verdict in hub.run(1.0)] == ["passing"]


def test_a_new_connection_does_not_speak_for_one_that_beats() -> None:
    hub = hearer()
    hub.disconnect()
    hub.liveness.connected(A, hub.now)
    assert hub.run(1.0) == []


def test_one_that_becomes_permanent_is_not_expected_to_beat_any_more() -> None:
    hub = hearer()
    hub.track(kind="permanent")
    assert hub.run(300.0) == []
    hub.track(kind="heartbeat")
    hub.run(6.2)
    assert hub.statuses[A] == "critical"


def test_a_dead_one_that_becomes_permanent_is_not_removed() -> None:
    hub = hearer(deregister_after=1.0)
    hub.run(7.5)
    assert hub.liveness.due_removals(hub.now) == [A]
    hub.track(kind="permanent", status="critical", beat=False)
    assert hub.liveness.due_removals(hub.now) == []


# --- what it reports of itself


@pytest.mark.parametrize(
    ("said", "message", "status", "reason"),
    [
        ("passing", "all is well", "passing", ""),
        ("warning", "disk is filling", "warning", "reported by the service: disk is filling"),
        ("critical", "", "critical", "reported by the service"),
    ],
)
def test_what_an_instance_says_of_itself_counts_until_it_says_otherwise(
    said: ReportedStatus, message: str, status: Status, reason: str
) -> None:
    hub = hearer()
    hub.beat(A, said, message)
    hub.run(60.0, [A])
    assert (hub.statuses[A], hub.reasons[A]) == (status, reason)
    hub.beat(A, "passing")
    assert (hub.statuses[A], hub.reasons[A]) == ("passing", "")


def test_the_same_report_again_is_no_news_whatever_its_message() -> None:
    hub = hearer()
    assert hub.beat(A, "warning", "80 % full") is not None
    assert hub.beat(A, "warning", "81 % full") is None


def test_the_state_is_the_worse_of_what_is_reported_and_what_is_found() -> None:
    hub = hearer()
    hub.beat(A, "warning")
    hub.disconnect()
    assert hub.statuses[A] == "suspect"
    hub.beat()
    assert hub.statuses[A] == "warning"
    hub.run(7.0)
    assert hub.statuses[A] == "critical"


def test_what_it_said_before_it_fell_silent_counts_no_more() -> None:
    hub = hearer()
    hub.beat(A, "critical", "out of memory")
    hub.run(7.0)
    assert hub.reasons[A].startswith("no heartbeat")
    hub.beat()
    assert hub.statuses[A] == "passing"


def test_one_that_says_it_is_critical_lives_and_is_not_removed() -> None:
    hub = hearer(deregister_after=1.0)
    hub.beat(A, "critical")
    for _ in range(60):
        hub.run(2.0, [A])
        assert hub.liveness.due_removals(hub.now) == []
    assert hub.statuses[A] == "critical"
