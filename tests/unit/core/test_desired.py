"""What requests make of what is wanted, and which of two tellings of it is believed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hub.core.catalog import Catalog
from hub.core.desired import (
    NOTHING,
    DesiredStates,
    Wanted,
    signed,
    with_metadata,
    with_mode,
    with_weight,
    without_mode,
)
from hub.core.health import WELL
from hub.core.registry import Registry
from hub.wire.record import Desired
from tests.unit.core.making import WALL, record, want

LATER = WALL + timedelta(seconds=9)
DRAINED = Desired(mode="draining", reason="rack move")


@pytest.mark.parametrize(
    ("before", "reason", "after"),
    [
        (NOTHING, "rack move", DRAINED),
        (NOTHING, None, Desired(mode="draining")),
        (DRAINED, None, DRAINED),
        (DRAINED, "", Desired(mode="draining")),
        (Desired(mode="maintenance", reason="disk"), None, Desired(mode="draining")),
        (Desired(weight=3, metadata={"a": 1}), "r", Desired(mode="draining", weight=3, metadata={"a": 1}, reason="r")),
    ],
)
def test_a_mode_takes_the_place_of_another_and_leaves_the_rest(
    before: Desired, reason: str | None, after: Desired
) -> None:
    assert with_mode(before, "draining", reason) == after


def test_only_the_mode_that_is_named_is_ended() -> None:
    assert without_mode(DRAINED, "maintenance", "over") is DRAINED
    assert without_mode(DRAINED, "draining", None) == NOTHING
    assert without_mode(NOTHING, "draining", "why not") is NOTHING


def test_a_lesser_change_does_not_replace_the_reason_of_a_mode() -> None:
    assert with_weight(DRAINED, 5, "canary").reason == "rack move"
    assert with_metadata(DRAINED, {"a": 1}, "canary").reason == "rack move"
    assert with_weight(NOTHING, 5, "canary") == Desired(weight=5, reason="canary")
    assert with_weight(Desired(weight=5, reason="canary"), 6, None).reason == "canary"


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1, "b": 2}, {"b": 3, "c": {"d": None}}, {"a": 1, "b": 3, "c": {"d": None}}),
        ({"a": 1, "b": 2}, {"b": None, "x": None}, {"a": 1}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1, "b": 2}, None, {}),
    ],
)
def test_metadata_is_merged_by_key_and_null_lifts(
    before: dict[str, Any], changes: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    assert with_metadata(Desired(metadata=before), changes, None).metadata == after


def test_a_change_is_signed_and_what_changes_nothing_is_not() -> None:
    assert signed(NOTHING, DRAINED, "ada", WALL) == Desired(
        mode="draining", reason="rack move", author="ada", changed_at=WALL
    )
    before = Desired(mode="draining", author="ada", changed_at=WALL)
    assert signed(before, with_mode(before, "draining", None), "eve", LATER) is before


def test_what_wants_nothing_any_more_is_nothing_whatever_its_reason() -> None:
    assert signed(DRAINED, without_mode(DRAINED, "draining", "done"), "ada", WALL) is NOTHING


def test_an_older_telling_of_what_is_wanted_is_no_news() -> None:
    states = DesiredStates()
    assert states.put("engine.a1", DRAINED, 7)
    assert not states.put("engine.a1", Desired(weight=1), 6)
    assert not states.lift("engine.a1", 6)
    assert not states.put("engine.a1", DRAINED, 7)
    assert states.wanted("engine.a1") == Wanted(DRAINED, 7)


def test_an_own_lift_is_not_undone_by_an_older_put_that_is_told_after_it() -> None:
    states = DesiredStates()
    states.put("engine.a1", DRAINED, 7)
    assert states.anticipate_lift("engine.a1", 9)
    assert states.wanted("engine.a1") == Wanted(NOTHING, 9)
    assert not states.put("engine.a1", DRAINED, 8)
    assert not states.lift("engine.a1", 9)
    assert states.get("engine.a1") is None
    assert states.put("engine.a1", DRAINED, 10)


def test_after_a_reset_lower_revisions_are_believed() -> None:
    states = DesiredStates()
    states.put("engine.a1", DRAINED, 900)
    states.reset()
    assert states.get("engine.a1") == DRAINED, "until it is known to be lost"
    assert states.put("engine.a1", Desired(weight=1), 1)
    states.reset()
    assert states.lift("engine.a1", 0)


def test_what_is_wanted_is_listed_by_service_and_in_order() -> None:
    states = DesiredStates()
    for key in ("engine.b", "engine.a", "gate.c"):
        states.put(key, DRAINED, 1)
    assert states.keys("engine") == ["engine.a", "engine.b"]
    assert states.keys() == ["engine.a", "engine.b", "gate.c"]
    states.lift("gate.c", 2)
    assert (states.keys("gate"), states.keys("nobody")) == ([], [])


def test_a_mode_hides_what_is_heard_and_does_not_forget_it() -> None:
    catalog = Catalog()
    catalog.apply(record(), 1)
    catalog.set_state("engine.a1", "suspect", "connection lost", 0, WALL)
    want(catalog, "engine.a1", DRAINED)
    written = catalog.record_to_write("engine.a1")
    assert written is not None
    assert (written.status, written.reason, written.desired) == ("draining", "rack move", DRAINED)
    catalog.apply(written, 2)
    entry = catalog.entries["engine.a1"]
    assert (entry.heard.status, entry.heard.reason, entry.finding.reason) == ("suspect", "connection lost", "rack move")
    assert list(catalog.unwritten) == []


def test_a_record_in_a_mode_tells_that_the_instance_lives() -> None:
    catalog = Catalog()
    catalog.apply(record(status="critical", reason="no heartbeat"), 1)
    want(catalog, "engine.a1", DRAINED)
    assert catalog.entries["engine.a1"].instance.status == "critical"
    catalog.apply(record(status="draining", reason="rack move", desired=DRAINED), 2)
    entry = catalog.entries["engine.a1"]
    assert (entry.heard, entry.instance.status) == (WELL, "draining")


def test_what_a_leader_writes_of_weight_alone_is_no_change_of_health() -> None:
    registry = Registry(0.0)
    registry.learned(record(), 1, 0.0)
    registry.desired("engine.a1", Desired(weight=3), 1, lambda: WALL)
    (write,) = registry.writes(10)
    assert (write.moved, write.record.desired) == (False, Desired(weight=3))
    registry.desired("engine.a1", DRAINED, 2, lambda: WALL)
    (write,) = registry.writes(10)
    assert (write.moved, write.record.status) == (True, "draining")
    registry.lifted("engine.a1", 3, lambda: LATER)
    assert registry.writes(10) == []


def test_a_mode_shows_since_when_it_is_wanted() -> None:
    registry = Registry(0.0)
    registry.learned(record(), 1, 0.0)
    registry.desired("engine.a1", Desired(mode="draining", changed_at=LATER), 1, lambda: WALL)
    assert registry.catalog.entries["engine.a1"].instance.since == LATER
