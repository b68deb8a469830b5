"""What the watch of the registry tells is told on to operators when it is news."""

from __future__ import annotations

from structlog.testing import capture_logs

from hub.core.registry import Registry
from hub.handlers.clock import Clock
from hub.handlers.listeners import RegistryListener


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
