"""What the watch of the registry tells is told on to operators when it is news."""

from __future__ import annotations

import msgspec
from structlog.testing import capture_logs

from hub.core.registry import Registry
from hub.handlers.clock import Clock
from hub.handlers.listeners import RegistryListener
from hub.wire.codec import encode
from hub.wire.registration import Register


def test_a_catalog_is_told_to_be_complete_when_it_was_not_before() -> None:
    listener = RegistryListener(Registry(0.0), Clock())
    levels: list[str] = []
    for lost in (False, False, True):
        with capture_logs() as told:
            if lost:
                listener.on_lost("the connection was lost")
            listener.on_synced(1)
        levels.append(next(entry["log_level"] for entry in told if entry["event"] == "catalog complete"))
    assert levels == ["info", "debug", "info"]


def test_what_is_heard_while_a_record_is_on_its_way_to_the_store_is_newer_than_the_record() -> None:
    registry, clock = Registry(0.0), Clock()
    listener = RegistryListener(registry, clock)
    request = Register(name="engine", host="10.0.0.1", port=1000, instance_id="a1")
    registry.admitted(registry.admit(request, 0.0, clock.wall).record, 7, 0.0)
    written = msgspec.structs.replace(registry.catalog.entries["engine.a1"].record, version="2")
    value = encode(written)
    with registry.writing(written, value):
        registry.beat("engine.a1", 1.0, clock.wall, "warning", "disk full")
        listener.on_put("engine.a1", value, 8)
        entry = registry.catalog.entries["engine.a1"]
        assert (entry.revision, entry.record.version) == (8, "2")
        assert (entry.instance.status, entry.finding.reason) == ("warning", "reported by the service: disk full")
    assert list(registry.catalog.unwritten) == ["engine.a1"]
    listener.on_put("engine.a1", encode(msgspec.structs.replace(written, status="passing")), 9)
    assert entry.instance.status == "passing", "what another hub has stored is believed"
