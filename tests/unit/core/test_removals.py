"""Who is removed, when, and how many at once."""

from __future__ import annotations

from tests.unit.core.hearers import A, hearer, where


def test_an_instance_is_removed_after_it_was_critical_for_deregister_after() -> None:
    hub = hearer(deregister_after=20.0)
    hub.run(26.0)
    assert hub.liveness.due_removals(hub.now) == []
    hub.run(0.3)
    assert hub.liveness.due_removals(hub.now) == [A]


def test_a_removal_stays_due_until_it_is_done_or_the_instance_beats() -> None:
    hub = hearer(deregister_after=1.0)
    hub.run(7.5)
    assert hub.liveness.due_removals(hub.now) == hub.liveness.due_removals(hub.now) == [A]
    hub.beat()
    assert hub.liveness.due_removals(hub.now) == []


def test_a_stored_critical_one_is_removed_only_after_it_could_have_been_heard() -> None:
    hub = hearer(status="critical", deregister_after=1.0, beat=False)
    hub.run(5.9)
    assert hub.liveness.due_removals(hub.now) == []
    hub.run(0.3)
    assert hub.liveness.due_removals(hub.now) == [A]


def test_removals_come_oldest_first_and_no_more_than_15_percent_a_minute() -> None:
    hub = hearer()
    hub.forget()
    keys = hub.fleet(100, deregister_after=1.0)
    for key in keys:
        hub.liveness.disconnected(key, hub.now)
    hub.run(2.0, keys[40:])
    hub.run(8.0)
    assert len(where(hub.statuses, "critical")) == 100
    assert set(hub.remove_due()) <= set(keys[:40])
    assert len(hub.statuses) == 85
    hub.run(59.0)
    assert hub.remove_due() == []
    hub.run(1.0)
    assert len(hub.remove_due()) == 12


def test_a_small_fleet_is_removed_without_a_cap() -> None:
    hub = hearer(deregister_after=1.0)
    hub.fleet(19, deregister_after=1.0)
    hub.run(20.0)
    assert len(hub.remove_due()) == 20


def test_a_fleet_just_above_the_bar_does_not_fall_below_it_within_the_minute() -> None:
    hub = hearer(deregister_after=1.0)
    hub.fleet(20, deregister_after=1.0)
    hub.run(20.0)
    assert len(hub.remove_due()) == 3
    assert hub.remove_due() == []


def test_what_the_leader_removes_counts_against_the_cap_of_its_successor() -> None:
    hub = hearer()
    hub.forget()
    keys = hub.fleet(100, deregister_after=1.0)
    hub.run(20.0)
    for key in keys[:10]:
        hub.forget(key)
    assert len(hub.liveness.due_removals(hub.now)) == 5


def test_those_who_leave_while_alive_do_not_count_against_the_cap() -> None:
    hub = hearer()
    keys = hub.fleet(100, deregister_after=1.0)
    for key in keys[:10]:
        hub.forget(key)
    hub.run(20.0)
    assert len(hub.liveness.due_removals(hub.now)) == 91 * 15 // 100
