"""Records for tests, with everything that a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hub.core.catalog import Catalog
from hub.wire.record import Desired, Record

WALL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def record(name: str = "engine", instance_id: str = "a1", **given: Any) -> Record:
    """A record of an instance that is passing, listening on a port of its own."""
    values: dict[str, Any] = {"host": "10.0.0.1", "port": 1000, "registered_at": WALL, "since": WALL, **given}
    return Record(name=name, instance_id=instance_id, **values)


def want(catalog: Catalog, key: str, desired: Desired, revision: int = 1) -> None:
    """Let operators want something of an instance."""
    if catalog.desired.put(key, desired, revision):
        catalog.desire_changed(key, desired.changed_at or WALL)
