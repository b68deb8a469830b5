"""The events that tell the story of the registry, as CloudEvents."""

from __future__ import annotations

from datetime import datetime

import msgspec

from hub.wire.event import CloudEvent, EventType
from hub.wire.record import Desired, Record
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
            "check": record.check,
            "revision": revision,
        },
    )


def desired(
    key: str, change: str, wanted: Desired, revision: int, time: datetime, *, reason: str, author: str
) -> CloudEvent:
    """What operators now want of an instance, at a revision of what is wanted; `change` is what they asked for."""
    service, _, instance_id = key.partition(".")
    return CloudEvent(
        id=f"desired-{revision}",
        type="service.desired",
        source="central-hub/admin",
        subject=key,
        time=time,
        data={
            "service": service,
            "instance_id": instance_id,
            "change": change,
            "desired": msgspec.to_builtins(wanted),
            "reason": reason,
            "author": author,
            "revision": revision,
        },
    )
