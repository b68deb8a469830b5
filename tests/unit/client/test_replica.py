from __future__ import annotations

from collections.abc import Iterable

import pytest

from hub.client.replica import MAX_WAITING_DELTAS, TRUST, Reading, Replica
from hub.errors import InvalidRequest
from hub.wire.discovery import Discover
from tests.unit.client.making import gone, instance, put, reading

NAME = Discover(name="engine")


def filled(**revisions: int) -> Replica:
    replica = Replica()
    assert replica.adopt(reading(max(revisions.values(), default=0), **revisions), 0.0)
    return replica


def chosen(replica: Replica) -> list[str]:
    return [known.instance.instance_id for known in replica.select(NAME).chosen]


def test_a_reading_is_adopted_whole_and_in_order_of_ids() -> None:
    replica = filled(b=2, a=5, c=3)
    assert replica.ids() == ["a", "b", "c"]
    assert replica.revision == 5


def test_a_delta_that_follows_on_what_is_known_is_taken_in() -> None:
    replica = filled(a=5)
    assert replica.apply(put("a", 7, 5, status="warning"))
    assert replica.apply(put("b", 8))
    assert replica.apply(gone("a", 9, 7))
    assert replica.ids() == ["b"]
    assert replica.revision == 9


def test_a_delta_whose_predecessor_was_never_heard_asks_for_a_reading_and_is_taken_in_all_the_same() -> None:
    replica = filled(a=5)
    assert not replica.apply(put("a", 9, 7, port=81))
    seen = replica.get("a")
    assert seen is not None
    assert seen.port == 81


def test_an_instance_whose_registration_and_end_were_both_missed_shows_as_a_gap_when_it_returns() -> None:
    replica = filled(a=5)
    assert not replica.apply(put("b", 9, 8))


def test_what_a_reading_covers_is_no_gap() -> None:
    replica = filled(a=5, b=9)
    assert replica.apply(put("c", 11, 7)), "revision 7 was a deletion that the reading up to 9 has seen"


def test_an_instance_that_returns_after_a_deletion_we_heard_of_is_no_gap() -> None:
    replica = filled(a=5)
    assert replica.apply(gone("a", 6, 5))
    assert replica.apply(put("a", 7, 6))
    assert replica.ids() == ["a"]


def test_revisions_that_go_back_ask_for_a_reading_and_change_nothing() -> None:
    replica = filled(a=50)
    assert replica.apply(put("a", 60, 50))
    assert not replica.apply(gone("a", 3, 0))
    assert replica.ids() == ["a"]


def test_changes_during_a_reading_are_seen_at_once_and_lie_on_top_of_it() -> None:
    replica = filled(a=5)
    replica.begin()
    assert replica.apply(gone("a", 7, 5))
    assert replica.apply(put("b", 8))
    assert replica.ids() == ["b"]
    assert replica.adopt(reading(6, a=5, c=6), 1.0)
    assert replica.ids() == ["b", "c"]


def test_changes_during_a_reading_that_it_has_already_are_not_undone_by_replaying_them() -> None:
    replica = filled(a=5)
    replica.begin()
    replica.apply(put("a", 7, 5, port=81))
    assert replica.adopt(Reading(9, {"a": (9, instance("a", port=82))}), 1.0)
    seen = replica.get("a")
    assert seen is not None
    assert seen.port == 82


def test_a_gap_between_a_reading_and_the_changes_during_it_asks_for_another() -> None:
    replica = filled(a=5)
    replica.begin()
    replica.apply(put("a", 9, 8))
    assert not replica.adopt(reading(6, a=5), 1.0)


def test_a_registry_recreated_during_a_reading_asks_for_another() -> None:
    replica = filled(a=50)
    replica.begin()
    replica.apply(put("a", 51, 50))
    replica.apply(put("b", 1, 0))
    assert not replica.adopt(reading(51, a=51), 1.0)


def test_more_changes_during_a_reading_than_are_remembered_ask_for_another() -> None:
    replica = filled(a=1)
    replica.begin()
    for revision in range(2, MAX_WAITING_DELTAS + 3):
        replica.apply(put("a", revision, revision - 1))
    assert not replica.adopt(reading(1, a=1), 1.0)


def test_a_reading_that_failed_changes_nothing() -> None:
    replica = filled(a=5)
    replica.begin()
    replica.abandon()
    assert replica.apply(put("b", 6))
    assert replica.ids() == ["a", "b"]


def test_what_a_reading_does_not_have_is_swept() -> None:
    replica = filled(a=5, b=6)
    assert replica.adopt(reading(9, b=6), 1.0)
    assert replica.ids() == ["b"]


def test_a_recreated_registry_keeps_whom_it_lost_as_suspects_for_one_ttl() -> None:
    replica = filled(a=50, b=51)
    replica.adopt(reading(3, b=3), 100.0)
    kept = replica.get("a")
    assert kept is not None
    assert kept.status == "suspect"
    assert chosen(replica) == ["b"]
    assert replica.on_trust
    replica.adopt(reading(4, b=3), 100.0 + TRUST / 2)
    assert replica.ids() == ["a", "b"]
    replica.adopt(reading(4, b=3), 100.0 + TRUST)
    assert replica.ids() == ["b"]
    assert not replica.on_trust


def test_an_emptied_registry_leaves_suspects_to_choose_and_says_degraded() -> None:
    replica = filled(a=50)
    replica.adopt(reading(0), 100.0)
    selection = replica.select(NAME)
    assert [known.instance.instance_id for known in selection.chosen] == ["a"]
    assert selection.degraded


def test_who_registers_again_in_a_recreated_registry_is_no_suspect_any_more() -> None:
    replica = filled(a=50)
    replica.adopt(reading(0), 100.0)
    assert replica.apply(put("a", 1))
    assert not replica.on_trust
    assert chosen(replica) == ["a"]
    assert not replica.select(NAME).degraded


def test_whoever_was_not_to_be_chosen_is_not_kept_as_a_suspect() -> None:
    replica = Replica()
    replica.adopt(Reading(50, {"a": (50, instance("a", status="draining"))}), 0.0)
    replica.adopt(reading(0), 100.0)
    assert replica.ids() == []


def test_observers_are_told_of_every_change_and_only_of_changes() -> None:
    told: list[str] = []

    def observe(ids: Iterable[str]) -> None:
        told.extend(sorted(ids))

    replica = Replica(observe)
    replica.adopt(reading(2, a=1, b=2), 0.0)
    assert told == ["a", "b"]
    replica.adopt(reading(3, a=1, b=2), 1.0)
    assert told == ["a", "b"]
    replica.apply(gone("a", 4, 1))
    assert told == ["a", "b", "a"]


def test_a_selection_is_remembered_until_something_changes() -> None:
    replica = filled(a=5)
    first = replica.select(NAME)
    assert replica.select(NAME) is first
    replica.apply(put("b", 6))
    assert chosen(replica) == ["a", "b"]


def test_an_absurd_version_range_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        filled(a=5).select(Discover(name="engine", version=">=banana"))
