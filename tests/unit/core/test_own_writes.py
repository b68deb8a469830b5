"""What a hub has written itself comes back through the watch, before or after the store has answered."""

from __future__ import annotations

from datetime import datetime

from hub.core.registry import Registry
from hub.wire.codec import encode
from hub.wire.registration import Register
from tests.unit.core.making import WALL

_REQUEST = Register(name="engine", host="10.0.0.1", port=1000, instance_id="a1")


def wall() -> datetime:
    return WALL


def test_a_write_that_is_known_moves_the_revision_and_is_no_news() -> None:
    observed: list[str] = []
    registry = Registry(0.0, observe=observed.append)
    registry.admitted(registry.admit(_REQUEST, 0.0, wall).record, 7, 0.0)
    service = registry.catalog.services["engine"]
    assert service.revision == 0, "others may have written before it"
    observed.clear()
    assert registry.told("engine.a1", 7)
    assert (service.revision, registry.catalog.revision, observed) == (7, 7, ["engine"])


def test_another_revision_is_news() -> None:
    registry = Registry(0.0)
    registry.admitted(registry.admit(_REQUEST, 0.0, wall).record, 7, 0.0)
    assert not registry.told("engine.a1", 8)
    assert not registry.told("engine.a2", 7)
    assert registry.catalog.revision == 0


def test_a_write_registered_again_after_a_deregistration_is_known() -> None:
    registry = Registry(0.0)
    registry.admitted(registry.admit(_REQUEST, 0.0, wall).record, 7, 0.0)
    registry.removed("engine.a1", 8)
    registry.admitted(registry.admit(_REQUEST, 0.0, wall).record, 9, 0.0)
    assert not registry.told("engine.a1", 7)
    assert registry.told("engine.a1", 9)
    assert registry.catalog.entries["engine.a1"].revision == 9


def test_what_is_being_written_is_recognised_by_its_bytes_until_the_store_has_answered() -> None:
    registry = Registry(0.0)
    record = registry.admit(_REQUEST, 0.0, wall).record
    value = encode(record)
    with registry.writing(record, value):
        assert registry.being_written(encode(record)) is record
        assert registry.being_written(value + b" ") is None
    assert registry.being_written(value) is None
