"""The events that tell the story of the registry, the configuration and the components, as CloudEvents."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from hub.wire.canary import Canary
from hub.wire.components import ComponentsRecord
from hub.wire.config import ConfigRecord
from hub.wire.event import CloudEvent, EventType
from hub.wire.keys import KeyRecord
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


def configured(record: ConfigRecord, revision: int) -> CloudEvent:
    """The configuration of a scope has changed, at a revision of all configuration."""
    return CloudEvent(
        id=f"config-{revision}",
        type="config.changed",
        source="central-hub/config",
        subject=record.scope,
        time=record.at,
        data={
            "service": record.scope,
            "kind": record.kind,
            "changed": record.changed,
            "reason": record.reason,
            "author": record.author,
            "revision": revision,
        },
    )


def canary_step(before: Canary | None, record: ConfigRecord, revision: int, instances: int) -> CloudEvent | None:
    """What a change of a scope means for its canary: it begins, or ends; None where it means nothing.

    Args:
        before: The canary before the change.
        record: The scope after it.
        revision: Of the change.
        instances: How many try the canary.
    """
    after = record.canary
    canary = after or before
    if canary is None or (before is not None and after is not None):
        return None
    kind: EventType = "config.canary"
    if after is None:
        kind = "config.promoted" if record.kind == "promote" else "config.rolledback"
    return CloudEvent(
        id=f"config-{revision}-canary",
        type=kind,
        source="central-hub/config",
        subject=record.scope,
        time=record.at,
        data={
            "service": record.scope,
            "canary": canary.id,
            "target": msgspec.to_builtins(canary.target),
            "bake": canary.bake,
            "instances": instances,
            "reason": record.reason,
            "author": record.author,
            "revision": revision,
        },
    )


def secret_changed(
    name: str, change: Literal["put", "delete", "rekey"], revision: int, time: datetime, *, reason: str, author: str
) -> CloudEvent:
    """A secret was stored, taken away, or encrypted with another key, at a revision of all secrets."""
    return CloudEvent(
        id=f"secret-{revision}",
        type="secret.changed",
        source="central-hub/secrets",
        subject=name,
        time=time,
        data={"secret": name, "change": change, "reason": reason, "author": author, "revision": revision},
    )


def key_issued(record: KeyRecord, revision: int) -> CloudEvent:
    """An API key was made, at a revision of all that concerns access."""
    return CloudEvent(
        id=f"access-{revision}",
        type="key.created" if record.replaces is None else "key.rotated",
        source="central-hub/access",
        subject=f"key:{record.id}",
        time=record.created,
        data={
            "id": record.id,
            "name": record.name,
            "role": record.role,
            "scopes": record.scopes,
            "expires": record.expires,
            "replaces": record.replaces,
            "reason": record.reason,
            "author": record.author,
            "revision": revision,
        },
    )


def access_changed(
    change: Literal["access.revoked", "access.restored"],
    whom: str,
    revision: int,
    time: datetime,
    *,
    reason: str,
    author: str,
) -> CloudEvent:
    """A caller or a credential is let in no more, or again, at a revision of all that concerns access."""
    return CloudEvent(
        id=f"access-{revision}",
        type=change,
        source="central-hub/access",
        subject=whom,
        time=time,
        data={"whom": whom, "reason": reason, "author": author, "revision": revision},
    )


def rolled_out(service: str, revision: int, instances: int, time: datetime) -> CloudEvent:
    """So many instances of a service, all who tell what they run, now run a revision of its configuration."""
    return CloudEvent(
        id=f"config-{revision}-{service}-applied",
        type="config.applied",
        source="central-hub/config",
        subject=service,
        time=time,
        data={"service": service, "revision": revision, "instances": instances},
    )


def refused(key: str, revision: int, reason: str, time: datetime) -> CloudEvent:
    """An instance cannot run with a revision of its configuration."""
    service, _, instance_id = key.partition(".")
    return CloudEvent(
        id=f"config-{revision}-{key}-refused",
        type="config.refused",
        source="central-hub/config",
        subject=key,
        time=time,
        data={"service": service, "instance_id": instance_id, "revision": revision, "reason": reason},
    )


def published(record: ComponentsRecord, revision: int) -> CloudEvent:
    """A version of the components is the newest."""
    went_back = record.kind == "rollback"
    return CloudEvent(
        id=f"components-{revision}",
        type="components.rolledback" if went_back else "components.published",
        source="central-hub/components",
        subject="components",
        time=record.at,
        data={
            "revision": revision,
            "kind": record.kind,
            "tree": record.tree,
            "files": record.files,
            "bytes": record.bytes,
            "changed": record.changed,
            "reason": record.reason,
            "author": record.author,
            **({"target": record.target} if went_back else {}),
        },
    )
