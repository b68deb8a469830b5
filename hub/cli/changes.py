"""What a watcher of the registry knows, and which change each piece of news amounts to. No I/O, no clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import Struct

from hub.core.entry import present
from hub.wire.discovery import Discovered, Instance
from hub.wire.health import HealthReport
from hub.wire.names import PASSING, Status
from hub.wire.record import Record
from hub.wire.subjects import instance_key

What = Literal["present", "registered", "status", "updated", "gone"]

_COMPARED: Final = (
    "host",
    "port",
    "protocol",
    "health_endpoint",
    "version",
    "zone",
    "tags",
    "weight",
    "metadata",
)
_STRAGGLERS: Final = timedelta(seconds=5)
"""How long after a reading news may still come in that the reading already held."""
WHILE_AWAY: Final = "while this watch was not connected"


class Change(Struct, frozen=True, kw_only=True):
    """One change, as `hub watch --json` prints it.

    `before` is the status until then (None: not known), `status` the one since (None: the instance is gone). `fields`
    names what else is different in the registration. `revision` is 0 where the news is not about what is stored.
    """

    time: datetime
    what: What
    service: str
    instance_id: str
    before: Status | None
    status: Status | None
    reason: str
    url: str | None
    fields: tuple[str, ...]
    revision: int


class Picture:
    """The instances as last heard of.

    News about an instance arrives in the order in which it was stored; a reading of a whole service may overtake it.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Instance]] = {}
        self._read_at: dict[str, tuple[int, datetime]] = {}
        self._components: dict[str, Status] = {}

    @property
    def services(self) -> set[str]:
        """The services that have instances."""
        return {name for name, instances in self._known.items() if instances}

    def instances(self, service: str) -> list[Instance]:
        """The instances of a service, by id."""
        return sorted(self._known.get(service, {}).values(), key=lambda instance: instance.instance_id)

    def stored(self, record: Record, revision: int, now: datetime) -> Change | None:
        """A record was stored. None where nothing that one sees is different."""
        if self._is_old(record.name, revision, now):
            return None
        instance = present(record, record.status, record.desired, record.since)
        return self._place(instance, record.reason, revision, now)

    def deleted(self, service: str, instance_id: str, revision: int, reason: str, now: datetime) -> Change | None:
        """A record was deleted. None where it was not known."""
        if self._is_old(service, revision, now):
            return None
        return self._remove(service, instance_id, revision, reason, now)

    def read(self, service: str, found: Discovered, now: datetime, reason: str = WHILE_AWAY) -> list[Change]:
        """All instances of a service were read at once: what is different from what was known."""
        self._read_at[service] = (found.revision, now)
        there = {instance.instance_id for instance in found.instances}
        missing = [instance_id for instance_id in self._known.get(service, {}) if instance_id not in there]
        changes = [self._remove(service, instance_id, found.revision, reason, now) for instance_id in missing]
        changes += [self._place(instance, reason, found.revision, now) for instance in found.instances]
        return [change for change in changes if change is not None]

    def reported(self, report: HealthReport, now: datetime) -> list[Change]:
        """The hub reported on itself or on something that it depends on. What is well at first is no news."""
        changes = []
        for told in report.instances:
            key = instance_key(report.service, told.instance_id)
            before = self._components.get(key)
            self._components[key] = told.status
            if told.status != (before or PASSING):
                changes.append(
                    Change(
                        time=now,
                        what="status",
                        service=report.service,
                        instance_id=told.instance_id,
                        before=before,
                        status=told.status,
                        reason=told.reason,
                        url=None,
                        fields=(),
                        revision=0,
                    )
                )
        return changes

    def presence(self, now: datetime) -> list[Change]:
        """Everything that is there, each as a change from nothing."""
        return [
            _change("present", instance, None, "", self._read_at.get(service, (0, now))[0], now)
            for service in sorted(self.services)
            for instance in self.instances(service)
        ]

    def _is_old(self, service: str, revision: int, now: datetime) -> bool:
        read = self._read_at.get(service)
        return read is not None and revision <= read[0] and now - read[1] < _STRAGGLERS

    def _place(self, instance: Instance, reason: str, revision: int, now: datetime) -> Change | None:
        instances = self._known.setdefault(instance.name, {})
        before = instances.get(instance.instance_id)
        instances[instance.instance_id] = instance
        if before is None:
            return _change("registered", instance, None, reason, revision, now)
        fields = tuple(name for name in _COMPARED if getattr(before, name) != getattr(instance, name))
        if before.status != instance.status:
            return _change("status", instance, before.status, reason, revision, now, fields)
        return _change("updated", instance, before.status, "", revision, now, fields) if fields else None

    def _remove(self, service: str, instance_id: str, revision: int, reason: str, now: datetime) -> Change | None:
        before = self._known.get(service, {}).pop(instance_id, None)
        if before is None:
            return None
        return Change(
            time=now,
            what="gone",
            service=service,
            instance_id=instance_id,
            before=before.status,
            status=None,
            reason=reason,
            url=before.url,
            fields=(),
            revision=revision,
        )


def _change(
    what: What,
    instance: Instance,
    before: Status | None,
    reason: str,
    revision: int,
    now: datetime,
    fields: tuple[str, ...] = (),
) -> Change:
    return Change(
        time=now,
        what=what,
        service=instance.name,
        instance_id=instance.instance_id,
        before=before,
        status=instance.status,
        reason=reason,
        url=instance.url,
        fields=fields,
        revision=revision,
    )
