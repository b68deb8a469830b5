from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from hub.cli.changes import Change, Picture
from hub.cli.watch import line
from hub.core.entry import present
from hub.wire.discovery import Discovered
from hub.wire.health import HealthReport, InstanceHealth
from hub.wire.names import Status
from hub.wire.record import Desired, Record

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


def record(instance_id: str = "e1", **fields: Any) -> Record:
    said = {"host": "10.0.0.1", "port": 8000, "registered_at": NOON, "since": NOON, **fields}
    return Record(name="engine", instance_id=instance_id, **said)


def reading(*records: Record, revision: int) -> Discovered:
    instances = tuple(present(r, r.status, r.desired, r.since) for r in records)
    return Discovered(name="engine", revision=revision, degraded=False, instances=instances)


def knowing(*records: Record, revision: int = 5) -> Picture:
    picture = Picture()
    picture.read("engine", reading(*records, revision=revision), NOON)
    return picture


def words(change: Change | None) -> str:
    assert change is not None
    return "".join(piece if isinstance(piece, str) else piece.text for piece in line(change)).split("  ", 1)[1]


def test_an_instance_not_seen_before_is_registered() -> None:
    change = knowing().stored(record(), 6, NOON)
    assert change is not None
    assert (change.what, change.before, change.status, change.revision) == ("registered", None, "passing", 6)
    assert words(change).split() == ["engine/e1", "registered", "at", "http://10.0.0.1:8000"]


def test_another_status_is_told_with_what_it_was_and_why() -> None:
    change = knowing(record()).stored(record(status="critical", reason="no beat for 6 s"), 6, NOON)
    assert words(change).split(maxsplit=1)[1] == "passing → critical  (no beat for 6 s)"


def test_another_registration_tells_which_fields_are_different() -> None:
    change = knowing(record(version="1.0")).stored(record(version="1.1", weight=5), 6, NOON)
    assert change is not None
    assert (change.what, change.fields) == ("updated", ("version", "weight"))
    assert words(change).endswith("updated: version, weight")


def test_what_operators_want_counts_as_what_one_sees() -> None:
    known = record(desired=Desired(weight=3))
    assert knowing(known).stored(record(desired=Desired(weight=3)), 6, NOON) is None
    change = knowing(known).stored(record(), 6, NOON)
    assert change is not None
    assert change.fields == ("weight",)


def test_a_beat_that_changes_nothing_is_no_news() -> None:
    assert knowing(record()).stored(record(since=LATER), 6, NOON) is None


def test_a_removal_tells_how_the_instance_was_and_why_it_went() -> None:
    picture = knowing(record(status="critical"))
    change = picture.deleted("engine", "e1", 6, "critical for more than 60 s", NOON)
    assert words(change).endswith("gone (was critical)  (critical for more than 60 s)")
    assert picture.deleted("engine", "e1", 7, "", NOON) is None
    assert picture.services == set()


def test_news_that_a_reading_already_held_is_not_told_again() -> None:
    picture = knowing(revision=9)
    assert picture.stored(record(), 8, NOON) is None
    assert picture.deleted("engine", "e1", 9, "", NOON) is None
    assert picture.stored(record(), 10, NOON) is not None


def test_a_store_that_began_anew_is_heard_soon_after_a_reading() -> None:
    assert knowing(revision=9).stored(record(), 1, LATER) is not None


def test_a_reading_after_a_loss_tells_all_that_was_missed() -> None:
    picture = knowing(record("same"), record("ill"), record("gone"))
    after = reading(record("same"), record("ill", status="critical"), record("new"), revision=9)
    told = {(change.instance_id, change.what) for change in picture.read("engine", after, NOON)}
    assert told == {("ill", "status"), ("gone", "gone"), ("new", "registered")}


def report(status: Status, reason: str = "") -> HealthReport:
    told = InstanceHealth(instance_id="hub-1", status=status, reason=reason, since=NOON)
    return HealthReport(service="hub", status=status, revision=1, instances=(told,))


def test_the_hubs_own_state_is_news_only_when_it_changes_or_is_bad_at_first() -> None:
    picture = Picture()
    assert picture.reported(report("passing"), NOON) == []
    (worse,) = picture.reported(report("warning", "deaf"), NOON)
    assert words(worse).split(maxsplit=1)[1] == "passing → warning  (deaf)"
    assert picture.reported(report("warning", "deaf"), NOON) == []
    (bad,) = Picture().reported(report("warning", "deaf"), NOON)
    assert words(bad).split(maxsplit=1)[1] == "warning  (deaf)"


def test_what_is_there_can_be_told_as_changes_from_nothing() -> None:
    told = knowing(record("b"), record("a", status="warning"), revision=7).presence(LATER)
    assert [(c.instance_id, c.what, c.status, c.revision) for c in told] == [
        ("a", "present", "warning", 7),
        ("b", "present", "passing", 7),
    ]
    assert msgspec.json.decode(msgspec.json.encode(told[0]))["time"] == "2026-05-01T12:01:00Z"
