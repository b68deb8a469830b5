"""Short ways to say what an instance, a delta and a reading are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hub.client.replica import Delta, Reading
from hub.wire.discovery import Instance
from hub.wire.names import Status


def instance(instance_id: str, *, status: Status = "passing", port: int = 80, **given: Any) -> Instance:
    shown: dict[str, Any] = {
        "name": "engine",
        "host": "127.0.0.1",
        "protocol": "http",
        "url": f"http://127.0.0.1:{port}",
        "health_endpoint": None,
        "version": "",
        "zone": None,
        "tags": (),
        "weight": 100,
        "load": None,
        "metadata": {},
        "since": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Instance(instance_id=instance_id, status=status, port=port, **{**shown, **given})


def put(instance_id: str, revision: int, previous: int = 0, **given: Any) -> Delta:
    return Delta(instance_id, revision, previous, instance(instance_id, **given))


def gone(instance_id: str, revision: int, previous: int) -> Delta:
    return Delta(instance_id, revision, previous, None)


def reading(revision: int, **revisions: int) -> Reading:
    return Reading(revision, {i: (r, instance(i)) for i, r in revisions.items()})
