"""The hub doubts itself first: stalls, deafness, mass silence; and those it has never heard of."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.unit.core.hearers import A, Hearer, hearer, where

# --- self-doubt


def test_a_fresh_hub_gives_everybody_a_full_ttl() -> None:
    hub = Hearer(start=1000.0)
    hub.track(beat=False)
    hub.run(5.9)
    assert hub.statuses[A] == "passing"
    hub.run(0.3)
    assert hub.statuses[A] == "critical"


def test_a_stalled_hub_expires_nobody_who_lived() -> None:
    hub = hearer()
    hub.run(5.0)
    hub.sleep(15.0)
    assert hub.tick() == []
    assert hub.liveness.doubt == "the hub stood still for 15.0 s"
    assert hub.run(5.9) == []
    hub.run(0.3)
    assert hub.statuses[A] == "critical"


def test_a_hub_that_is_deaf_for_long_finds_nobody_critical_before_a_ttl_of_good_hearing() -> None:
    hub = hearer()
    for _ in range(200):
        hub.run(0.1)
        hub.liveness.deafened(hub.now, "the connection to NATS is lost")
    assert hub.statuses[A] == "passing"
    assert hub.run(5.9) == []
    assert [verdict.status for verdict in hub.run(0.3)] == ["critical"]


def test_a_stall_does_not_erase_what_was_known_to_be_critical() -> None:
    hub = hearer()
    hub.run(7.0)
    hub.sleep(15.0)
    assert hub.tick() == []
    assert hub.run(20.0) == []
    assert hub.statuses[A] == "critical"


def test_nobody_is_removed_by_a_hub_that_has_not_noticed_its_own_stall_or_just_has() -> None:
    hub = hearer(deregister_after=20.0)
    hub.run(8.0)
    hub.sleep(60.0)
    assert hub.liveness.due_removals(hub.now) == []
    hub.tick()
    assert hub.liveness.due_removals(hub.now) == []
    hub.run(6.3)
    assert hub.liveness.due_removals(hub.now) == [A]


def test_the_hub_is_sure_of_itself_again_after_a_while_of_good_hearing() -> None:
    hub = Hearer()
    doubts = [hub.liveness.doubt]
    hub.run(6.2)
    doubts.append(hub.liveness.doubt)
    hub.liveness.deafened(hub.now, "messages were dropped")
    doubts.append(hub.liveness.doubt)
    assert doubts == ["the hub has just started", None, "messages were dropped"]


def test_a_slow_tick_gives_a_short_ttl_one_more_look() -> None:
    hub = hearer(ttl=0.5)
    hub.sleep(0.8)
    assert hub.tick() == []
    hub.beat()
    assert hub.run(0.3) == []


# --- the mass-silence guard


def test_those_who_fall_silent_together_while_connected_are_kept_for_one_more_ttl() -> None:
    hub = hearer()
    keys = hub.fleet(50)
    hub.run(20.0, [*keys, A])
    silent, talking = keys[:28], [*keys[28:], A]
    hub.run(8.0, talking)
    assert where(hub.statuses, "critical") == []
    assert hub.liveness.doubt == "28 of 51 instances fell silent within one ttl while their connections are up"
    assert set(hub.liveness.held) == set(silent)
    assert hub.liveness.is_held(silent[0])
    hub.run(6.3, talking)
    assert where(hub.statuses, "critical") == silent
    assert list(hub.liveness.held) == []
    assert hub.liveness.doubt is None


def test_those_who_are_kept_and_beat_are_as_if_nothing_had_been() -> None:
    hub = hearer()
    hub.forget()
    keys = hub.fleet(50)
    hub.run(8.0, keys[25:])
    assert hub.liveness.is_held(keys[0])
    assert hub.run(60.0, keys) == []
    assert list(hub.liveness.held) == []
    hub.run(6.3, keys[1:])
    assert where(hub.statuses, "critical") == [keys[0]]


@pytest.mark.parametrize(("size", "silent"), [(20, 20), (21, 10), (50, 24)])
def test_small_fleets_and_small_parts_are_not_kept(size: int, silent: int) -> None:
    hub = hearer()
    hub.forget()
    keys = hub.fleet(size)
    hub.run(6.3, keys[silent:])
    assert where(hub.statuses, "critical") == keys[:silent]


@pytest.mark.parametrize(("size", "silent"), [(21, 21), (22, 11), (50, 25)])
def test_half_of_a_fleet_of_more_than_20_is_kept(size: int, silent: int) -> None:
    hub = hearer()
    hub.forget()
    keys = hub.fleet(size)
    hub.run(6.3, keys[silent:])
    assert where(hub.statuses, "critical") == []
    assert set(hub.liveness.held) == set(keys[:silent])


def test_those_whose_connections_are_gone_are_dead_however_many() -> None:
    hub = hearer()
    keys = hub.fleet(50)
    for key in keys:
        hub.disconnect(key)
    hub.run(6.3, [A])
    assert where(hub.statuses, "critical") == keys


def test_one_that_is_kept_is_critical_as_soon_as_its_connection_is_gone() -> None:
    hub = hearer()
    keys = hub.fleet(50)
    hub.run(8.0, [A])
    assert hub.disconnect(keys[7]) is not None
    hub.run(0.2, [A])
    assert where(hub.statuses, "critical") == [keys[7]]
    hub.liveness.connections(dict.fromkeys(keys[1:], 1))
    hub.run(0.2, [A])
    assert where(hub.statuses, "critical") == [keys[0], keys[7]]


def test_a_hub_that_goes_deaf_lets_go_of_its_suspicion_of_the_many() -> None:
    hub = hearer()
    keys = hub.fleet(50)
    hub.run(8.0, [A])
    hub.liveness.deafened(hub.now, "the connection to NATS is lost")
    assert list(hub.liveness.held) == []
    assert hub.run(6.3, [A]) == []
    assert set(hub.liveness.held) == set(keys)


# --- strangers


def test_a_stranger_that_beats_is_asked_to_register_shortly_after_and_not_too_often() -> None:
    hub = Hearer()
    asked: list[float] = []
    for _ in range(120):
        hub.run(0.1)
        assert hub.liveness.beat("ghost.g1", hub.now) is None
        asked += [hub.now for _ in hub.liveness.due_reregistrations(hub.now)]
    assert asked[0] == pytest.approx(0.4)
    assert [round(later - earlier, 1) for earlier, later in pairwise(asked)] == [5.5, 5.5]


def test_a_registration_in_flight_between_replicas_is_not_asked_for_again() -> None:
    hub = Hearer()
    hub.liveness.beat(A, hub.now)
    hub.run(0.2)
    hub.track(beat=False)
    hub.run(1.0)
    assert hub.liveness.due_reregistrations(hub.now) == []
