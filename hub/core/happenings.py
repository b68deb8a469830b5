"""The events that tell the story of the registry, as CloudEvents."""

from __future__ import annotations

from datetime import datetime

from hub.wire.event import CloudEvent, EventType
from hub.wire.record import Record
from hub.wire.subjects import instance_key


def happened(kind: EventType, record: Record, revision: int, time: datetime, *, reason: str = "") -> CloudEvent:
    """What happened to an instance at a revision of the registry.

    The id is made from the revision, so that whoever tells the same event again tells it under the same id.
    """
    return CloudEvent(
        id=f"registry-{revision}",
        type=kind,
        source="central-hub/registry",
        subject=instance_key(record.name, record.instance_id),
        time=time,
        data={
            "service": record.name,
            "instance_id": record.instance_id,
            "host": record.host,
            "port": record.port,
            "version": record.version,
            "zone": record.zone,
            "status": record.status,
            "reason": reason or record.reason,
            "revision": revision,
        },
    )
