"""What is known of API keys, and when their use is written down."""

from __future__ import annotations

from datetime import UTC, datetime

from hub.core.apikeys import MISSED, WRITE_EVERY, ApiKeys, told
from hub.wire.keys import KeyRecord

NOW = 1_800_000_000.0


def record(key_id: str = "a", *, expires: float | None = None, name: str = "partner") -> KeyRecord:
    return KeyRecord(
        id=key_id,
        name=name,
        role="external",
        digest=b"",
        created=datetime.fromtimestamp(NOW, UTC),
        expires=None if expires is None else datetime.fromtimestamp(expires, UTC),
    )


def test_the_newest_record_of_a_key_counts_in_whatever_order_they_come() -> None:
    keys = ApiKeys()
    keys.learn(record(name="new"), 2)
    keys.learn(record(name="old"), 1)
    assert (found := keys.get("a")) is not None
    assert found.name == "new"
    keys.forget("a", 1)
    assert keys.get("a") is not None
    keys.forget("a", 3)
    assert keys.get("a") is None


def test_a_key_that_has_expired_no_longer_counts_as_valid() -> None:
    keys = ApiKeys()
    keys.learn(record("a", expires=NOW + 10), 1)
    keys.learn(record("b"), 2)
    assert (keys.valid(NOW), keys.valid(NOW + 10)) == (2, 1)
    assert told(record("a", expires=NOW + 10), None, NOW, revoked=False).state == "valid"
    assert told(record("a", expires=NOW + 10), None, NOW + 10, revoked=False).state == "expired"
    assert told(record("a", expires=NOW + 10), None, NOW + 10, revoked=True).state == "revoked"


def test_who_came_in_by_a_key_is_put_out_when_it_ends_or_is_gone() -> None:
    keys = ApiKeys()
    keys.learn(record("a", expires=NOW + 10), 1)
    assert keys.ended("a", NOW) == ""
    assert "expired" in keys.ended("a", NOW + 10)
    assert keys.ended("b", NOW) == "", "not all is known yet"
    keys.complete = True
    assert keys.ended("b", NOW) == "", "it may have been made this moment"
    assert keys.ended("b", NOW + MISSED - 0.1) == ""
    assert "gone" in keys.ended("b", NOW + MISSED)
    keys.learn(record("b"), 2)
    assert keys.ended("b", NOW + 2 * MISSED) == ""


def test_the_use_of_a_key_is_written_once_a_minute_by_whichever_replica() -> None:
    keys = ApiKeys()
    keys.learn(record("a"), 1)
    keys.use("a", NOW)
    keys.use("unknown", NOW)
    assert keys.unwritten() == [("a", NOW)]
    keys.use_stored("a", NOW)
    keys.use("a", NOW + WRITE_EVERY - 1)
    assert keys.unwritten() == []
    assert keys.last_use("a") == NOW + WRITE_EVERY - 1
    keys.use("a", NOW + WRITE_EVERY)
    assert keys.unwritten() == [("a", NOW + WRITE_EVERY)]
    keys.use_stored("a", NOW + WRITE_EVERY + 5)  # another replica's
    assert keys.unwritten() == []
    assert keys.last_use("a") == NOW + WRITE_EVERY + 5
    assert keys.last_use("b") is None
