"""Events on `hub.events.<type>`: CloudEvents 1.0 in JSON (structured mode)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

EventType = Literal[
    "service.registered",
    "service.deregistered",
    "service.expired",
    "service.health",
    "service.desired",
    "config.changed",
    "config.applied",
    "config.refused",
    "config.canary",
    "config.promoted",
    "config.rolledback",
    "secret.changed",
    "key.created",
    "key.rotated",
    "access.revoked",
    "access.restored",
    "components.published",
    "components.rolledback",
]


class CloudEvent(Struct, frozen=True, kw_only=True):
    """One thing that happened. `id` is the same however often the event is delivered."""

    id: str
    type: str
    source: str
    """Which part of which system tells it: `central-hub/registry`."""
    subject: str
    """Whom it is about: `<service>.<instance>`, the scope of a configuration, the name of a secret, a
    caller or a credential, or `components`."""
    time: datetime
    data: dict[str, Any]
    """What is known of it: service, instance_id, host, port, version, zone, status, reason, revision.

    `service.desired` has service, instance_id, change, desired, reason, author and revision: of what is wanted.
    `config.changed` has service, kind, changed, reason, author and revision, and is about `<scope>`;
    `config.applied` has service, revision and instances, how many there are: all who tell what they run now run that.
    `config.refused` has service, instance_id, revision and reason.
    `config.canary`, `config.promoted` and `config.rolledback` have service, canary (its id), target, bake, instances
    (how many try it), reason, author and revision, and are about `<scope>`.
    `secret.changed` has secret, change (`put`, `delete` or `rekey`), reason, author and revision: never the value.
    `key.created` and `key.rotated` have id, name, role, scopes, expires, replaces, reason, author and revision, and are
    about `key:<id>`: never the key. `access.revoked` and `access.restored` have whom, reason, author and revision.
    `components.published` and `components.rolledback` have revision, kind, tree, files, bytes, changed, reason and
    author; the latter has target, too, the revision that it went back to."""
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str | UnsetType = UNSET
    """The trace of the request that brought it about (CloudEvents Distributed Tracing extension); where it had one."""
    tracestate: str | UnsetType = UNSET
    """What goes with `traceparent`, where there is something."""
