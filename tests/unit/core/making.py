"""Records for tests, with everything that a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hub.wire.record import Record

WALL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def record(name: str = "engine", instance_id: str = "a1", **given: Any) -> Record:
    """A record of an instance that is passing, listening on a port of its own."""
    values: dict[str, Any] = {"host": "10.0.0.1", "port": 1000, "registered_at": WALL, "since": WALL, **given}
    return Record(name=name, instance_id=instance_id, **values)
