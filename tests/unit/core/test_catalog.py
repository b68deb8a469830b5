"""What the catalog knows, and which of two tellings it believes."""

from __future__ import annotations

from datetime import timedelta

from hub.core.catalog import MAX_EMPTY_SERVICES, Catalog
from hub.wire.record import Desired
from tests.unit.core.making import WALL, record, want

LATER = WALL + timedelta(seconds=9)


def test_an_own_write_is_seen_at_once_but_moves_the_revision_only_with_the_watch() -> None:
    catalog = Catalog()
    catalog.anticipate(record(), 6)
    assert "engine.a1" in catalog.entries
    assert catalog.services["engine"].revision == 0
    catalog.apply(record(instance_id="b2", port=2), 5)
    assert catalog.services["engine"].revision == 5
    catalog.apply(record(), 6)
    assert (catalog.services["engine"].revision, catalog.revision) == (6, 6)


def test_an_older_telling_changes_nothing() -> None:
    catalog = Catalog()
    catalog.apply(record(version="2"), 7)
    assert catalog.apply(record(version="1"), 6) is None
    assert catalog.entries["engine.a1"].record.version == "2"
    assert catalog.apply_removal("engine.a1", 6) is None
    assert "engine.a1" in catalog.entries


def test_a_put_older_than_our_own_deletion_does_not_bring_the_instance_back() -> None:
    catalog = Catalog()
    catalog.apply(record(), 3)
    catalog.anticipate_removal("engine.a1", 5)
    assert catalog.apply(record(version="late"), 4) is None
    assert catalog.entries == {}
    catalog.apply_removal("engine.a1", 5)
    catalog.apply(record(), 6)
    assert "engine.a1" in catalog.entries


def test_a_state_that_differs_from_the_stored_one_is_waiting_to_be_written_until_it_is() -> None:
    catalog = Catalog()
    catalog.apply(record(), 1)
    catalog.set_state("engine.a1", "critical", "no heartbeat", 0, LATER)
    assert list(catalog.unwritten) == ["engine.a1"]
    written = catalog.record_to_write("engine.a1")
    assert written is not None
    assert (written.status, written.reason, written.since) == ("critical", "no heartbeat", LATER)
    catalog.anticipate(written, 2)
    assert list(catalog.unwritten) == []


def test_news_that_comes_while_a_state_is_being_written_is_not_overwritten_by_it() -> None:
    catalog = Catalog()
    catalog.apply(record(), 1)
    catalog.set_state("engine.a1", "suspect", "connection lost", 0, LATER)
    in_flight = catalog.record_to_write("engine.a1")
    assert in_flight is not None
    catalog.set_state("engine.a1", "passing", "", 0, LATER)
    catalog.anticipate(in_flight, 2)
    assert catalog.entries["engine.a1"].instance.status == "passing"
    assert list(catalog.unwritten) == ["engine.a1"]


def test_a_state_written_by_another_hub_is_adopted() -> None:
    catalog = Catalog()
    catalog.apply(record(), 1)
    catalog.apply(record(status="critical", reason="no heartbeat", relapses=2, since=LATER), 2)
    entry = catalog.entries["engine.a1"]
    assert (entry.heard.status, entry.relapses, entry.instance.since) == ("critical", 2, LATER)
    assert list(catalog.unwritten) == []


def test_what_operators_want_wins_and_outlives_the_registration() -> None:
    catalog = Catalog()
    catalog.apply(record(weight=100, metadata={"a": 1}), 1)
    want(catalog, "engine.a1", Desired(mode="draining", weight=5, metadata={"b": 2}))
    shown = catalog.entries["engine.a1"].instance
    assert (shown.status, shown.weight, shown.metadata) == ("draining", 5, {"a": 1, "b": 2})
    catalog.apply_removal("engine.a1", 2)
    catalog.apply(record(), 3)
    registered_again = catalog.entries["engine.a1"]
    assert registered_again.instance.status == "draining"
    assert list(catalog.unwritten) == ["engine.a1"]
    catalog.desired.lift("engine.a1", 2)
    catalog.desire_changed("engine.a1", LATER)
    assert catalog.entries["engine.a1"].instance.weight == 100
    assert list(catalog.unwritten) == []


def test_a_dead_instance_is_dead_whatever_operators_want() -> None:
    catalog = Catalog()
    catalog.apply(record(), 1)
    want(catalog, "engine.a1", Desired(mode="maintenance"))
    catalog.set_state("engine.a1", "critical", "no heartbeat", 0, LATER)
    assert catalog.entries["engine.a1"].instance.status == "critical"


def test_an_instance_is_found_by_address_id_and_labels_until_it_moves_or_goes() -> None:
    catalog = Catalog()
    catalog.apply(record(tags=("blue",), metadata={"capabilities": ["trade"]}), 1)
    assert catalog.at("engine", "10.0.0.1", 1000) is catalog.entries["engine.a1"]
    assert list(catalog.owners("a1")) == ["engine"]
    assert list(catalog.labelled("tag", "blue")) == list(catalog.labelled("capability", "trade")) == ["engine.a1"]
    catalog.apply(record(port=2000), 2)
    assert catalog.at("engine", "10.0.0.1", 1000) is None
    assert catalog.labelled("tag", "blue") == catalog.labelled("capability", "trade") == {}
    catalog.apply_removal("engine.a1", 3)
    assert catalog.at("engine", "10.0.0.1", 2000) is None
    assert list(catalog.owners("a1")) == catalog.names == []


def test_the_load_is_kept_across_an_update_and_never_stored() -> None:
    catalog = Catalog()
    catalog.apply(record(), 1)
    catalog.set_load("engine.a1", 0.7)
    catalog.apply(record(version="2"), 2)
    assert catalog.entries["engine.a1"].instance.load == 0.7
    assert list(catalog.unwritten) == []


def test_the_time_since_when_is_the_stored_one_and_stays_while_the_status_does() -> None:
    catalog = Catalog()
    catalog.apply(record(), 1)
    catalog.apply(record(version="2", since=LATER), 2)
    assert catalog.entries["engine.a1"].instance.since == LATER, "or replicas would not agree"
    catalog.anticipate(record(version="3"), 3)
    assert catalog.entries["engine.a1"].instance.since == LATER


def test_after_a_reset_lower_revisions_are_believed() -> None:
    catalog = Catalog()
    catalog.apply(record(version="old"), 900)
    catalog.reset()
    catalog.apply(record(version="new"), 1)
    assert catalog.entries["engine.a1"].record.version == "new"
    assert catalog.services["engine"].revision == 1


def test_every_visible_change_is_observed_under_the_service_s_name() -> None:
    seen: list[str] = []
    catalog = Catalog(seen.append)
    catalog.apply(record(), 1)
    catalog.set_state("engine.a1", "suspect", "connection lost", 0, LATER)
    catalog.apply_removal("engine.a1", 2)
    assert set(seen) == {"engine"}
    assert len(seen) >= 3


def test_the_memory_of_services_that_emptied_is_bounded() -> None:
    catalog = Catalog()
    for n in range(MAX_EMPTY_SERVICES + 100):
        catalog.apply(record(f"s{n}"), 2 * n + 1)
        catalog.apply_removal(f"s{n}.a1", 2 * n + 2)
    assert len(catalog.services) <= MAX_EMPTY_SERVICES + 1


def test_two_instances_at_one_address_are_told_apart_the_same_way_whatever_came_first() -> None:
    one, other = Catalog(), Catalog()
    one.apply(record(instance_id="a"), 1)
    one.apply(record(instance_id="b"), 2)
    other.apply(record(instance_id="b"), 2)
    other.apply(record(instance_id="a", version="2"), 3)
    for catalog in (one, other):
        found = catalog.at("engine", "10.0.0.1", 1000)
        assert found is not None
        assert found.record.instance_id == "a"


def test_an_address_still_finds_the_one_who_is_left_there() -> None:
    catalog = Catalog()
    catalog.apply(record(instance_id="a"), 1)
    catalog.apply(record(instance_id="b"), 2)
    catalog.apply_removal("engine.b", 3)
    left = catalog.at("engine", "10.0.0.1", 1000)
    assert left is not None
    assert left.record.instance_id == "a"
    catalog.apply_removal("engine.a", 4)
    assert catalog.at("engine", "10.0.0.1", 1000) is None


def test_replicas_agree_since_when_it_is_so_in_whichever_order_they_are_told() -> None:
    drained = Desired(mode="draining")
    first, second = Catalog(), Catalog()
    for catalog in (first, second):
        want(catalog, "engine.a1", drained)
        catalog.apply(record(status="draining", check="operator", desired=drained), 1)
    written = record(since=LATER)
    first.apply(written, 2)
    for catalog, since in ((first, LATER + timedelta(seconds=1)), (second, LATER)):
        catalog.desired.lift("engine.a1", 2)
        catalog.desire_changed("engine.a1", since)
    second.apply(written, 2)
    shown = [catalog.entries["engine.a1"].instance for catalog in (first, second)]
    assert shown[0] == shown[1]
    assert shown[0].since == LATER


def test_those_that_were_found_are_counted_until_they_register_themselves_or_go() -> None:
    catalog = Catalog()
    catalog.apply(record(source="micro"), 1)
    catalog.apply(record(instance_id="b2", port=2, source="micro"), 2)
    assert catalog.services["engine"].found == 2
    catalog.apply(record(source="registration"), 3)
    assert catalog.services["engine"].found == 1
    catalog.apply_removal("engine.b2", 4)
    assert catalog.services["engine"].found == 0
