"""All that is known of every instance: what is stored, what this hub has heard since, and the indexes to find it by.

A record reaches the catalog twice: at once when this hub wrote it (`anticipate`), so that the next discovery here sees
it; and in its turn through the watch (`apply`), which alone moves a service's revision, since only then everything
written before it is known too. State that was heard (`set_state`, `set_load`) lives in memory only, until the leader
writes it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from hub.core.desired import MODES, DesiredStates, effective, explained
from hub.core.selection import Selection, capabilities_of
from hub.wire.codec import encode
from hub.wire.discovery import Discover, Instance
from hub.wire.names import CRITICAL, PASSING, Status
from hub.wire.record import Desired, Record
from hub.wire.subjects import instance_key

MAX_CACHED_QUERIES = 64
MAX_CACHED_BYTES = 4 << 20
"""What the answers kept for one service may take, lest many questions about a large one fill the memory."""
MAX_EMPTY_SERVICES = 10_000
"""Services without instances whose revision is remembered, for those who wait for their next change."""


@dataclass(slots=True, eq=False)
class Entry:
    """One instance: the stored record, and how discovery shows it now."""

    key: str
    record: Record
    revision: int
    instance: Instance
    capabilities: frozenset[str]
    live: Status
    reason: str
    relapses: int
    desired: Desired | None
    _encoded: bytes | None = None

    @property
    def shown_reason(self) -> str:
        """Why it has the status that discovery shows; `reason` tells of what was heard alone."""
        return explained(self.live, self.reason, self.desired)

    def encoded(self) -> bytes:
        """The instance as JSON, encoded once per change."""
        if self._encoded is None:
            self._encoded = encode(self.instance)
        return self._encoded

    def show(self, instance: Instance) -> None:
        """Show the instance so from now on."""
        self.instance = instance
        self._encoded = None


@dataclass(slots=True, eq=False)
class Service:
    """The instances of one service, and the answers already encoded for them."""

    name: str
    revision: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    selections: dict[Discover, Selection[Entry]] = field(default_factory=dict)
    answers: dict[Discover, bytes] = field(default_factory=dict)
    answers_size: int = 0
    """Bytes of all the answers."""
    summary: bytes | None = None
    """The service's row in the list of services, once it has been asked for."""
    turn: int = 0

    def sorted(self, after: str = "") -> Iterator[Entry]:
        """The entries by instance id, beginning behind `after`."""
        for instance_id in self.order[bisect_right(self.order, after) if after else 0 :]:
            yield self.entries[instance_id]

    def forget_answers(self) -> None:
        """Something that an answer shows has changed."""
        self.selections.clear()
        self.answers.clear()
        self.answers_size = 0
        self.summary = None


class Catalog:
    """Every service and instance. `observe` is called with a service's name after each visible change to it."""

    def __init__(self, observe: Callable[[str], None] = lambda service: None) -> None:
        self.revision = 0
        self.services: dict[str, Service] = {}
        self.entries: dict[str, Entry] = {}
        self.unwritten: dict[str, None] = {}
        """Keys whose state differs from what is stored, oldest first: what a leader has to write."""
        self.names: list[str] = []
        """The names of services that have instances, sorted."""
        self._observe = observe
        self.desired = DesiredStates()
        self._gone: dict[str, int] = {}
        self._empty: dict[str, None] = {}
        self._by_address: dict[tuple[str, str, int], dict[str, None]] = {}
        self._by_instance: dict[str, dict[str, None]] = {}
        self._by_label: dict[tuple[str, str], dict[str, Entry]] = {}

    # --- what is stored

    def told(self, key: str, revision: int) -> bool:
        """A stored record, told by the watch, that need not be looked at where it is known; returns whether it is."""
        entry = self.entries.get(key)
        if entry is None or entry.revision != revision:
            return False
        self._reach(entry.record.name, revision)
        self._gone.pop(key, None)
        return True

    def apply(self, record: Record, revision: int) -> Entry | None:
        """A stored record, told by the watch: its state is adopted. Returns None where it is no news."""
        self._reach(record.name, revision)
        key = instance_key(record.name, record.instance_id)
        if self._gone.get(key, 0) < revision:
            self._gone.pop(key, None)
        return self._place(key, record, revision, adopt=True)

    def place(self, record: Record, revision: int) -> Entry | None:
        """A stored record, read ahead of the watch: its state is adopted, the service's revision waits for that."""
        return self._place(instance_key(record.name, record.instance_id), record, revision, adopt=True)

    def anticipate(self, record: Record, revision: int) -> Entry | None:
        """A record that this hub has just written; the watch will tell of it in its turn.

        What has been heard of the instance while it was being written is newer, and stays.
        """
        return self._place(instance_key(record.name, record.instance_id), record, revision, adopt=False)

    def apply_removal(self, key: str, revision: int) -> Entry | None:
        """A deletion, told by the watch. Returns what was removed, or None where nothing (newer) was known."""
        self._reach(key.partition(".")[0], revision)
        if self._gone.get(key, 0) <= revision:
            self._gone.pop(key, None)
        return self._displace(key, revision)

    def anticipate_removal(self, key: str, revision: int) -> Entry | None:
        """A deletion that this hub has just written."""
        self._gone[key] = revision
        return self._displace(key, revision)

    def reset(self) -> None:
        """The store was recreated: its revisions start again. What is known stays until it is swept or replaced."""
        self.revision = 0
        self._gone.clear()
        for entry in self.entries.values():
            entry.revision = 0
        for service in self.services.values():
            service.revision = 0
            service.forget_answers()

    def reach(self, revision: int) -> None:
        """Everything stored up to this revision is known."""
        self.revision = max(self.revision, revision)

    def desire_changed(self, key: str, since: datetime) -> None:
        """What operators want of an instance, registered or not, is other than before, and since when."""
        if entry := self.entries.get(key):
            entry.desired = self.desired.get(key)
            self._present(entry, since)

    # --- what was heard

    def set_state(self, key: str, live: Status, reason: str, relapses: int, since: datetime) -> bool:
        """What this hub has found an instance's state to be. Returns whether that is news."""
        entry = self.entries.get(key)
        if entry is None or (entry.live, entry.reason, entry.relapses) == (live, reason, relapses):
            return False
        entry.live, entry.reason, entry.relapses = live, reason, relapses
        self._present(entry, since)
        return True

    def set_load(self, key: str, load: float) -> None:
        """The load an instance has reported. Never stored."""
        entry = self.entries.get(key)
        if entry is not None and entry.instance.load != load:
            entry.show(msgspec.structs.replace(entry.instance, load=load))
            self.services[entry.record.name].forget_answers()

    # --- lookups

    def at(self, service: str, host: str, port: int) -> Entry | None:
        """The instance of a service at an address; of several, the one whose id sorts first, on every replica."""
        keys = self._by_address.get((service, host, port))
        return self.entries[min(keys)] if keys else None

    def owners(self, instance_id: str) -> Iterable[str]:
        """The services that have an instance of this id."""
        return self._by_instance.get(instance_id, ())

    def labelled(self, kind: str, label: str) -> dict[str, Entry]:
        """The entries, by key, that carry a `tag` or a `capability`."""
        return self._by_label.get((kind, label), {})

    def record_to_write(self, key: str) -> Record | None:
        """The record of an instance with its state as it is now; None where the instance is gone."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        return msgspec.structs.replace(
            entry.record,
            status=entry.instance.status,
            reason=entry.shown_reason,
            since=entry.instance.since,
            relapses=entry.relapses,
            desired=entry.desired,
        )

    # --- inside

    def _reach(self, name: str, revision: int) -> None:
        self.revision = max(self.revision, revision)
        service = self._service(name)
        if revision > service.revision:
            service.revision = revision
            service.answers.clear()
            service.answers_size = 0
            self._observe(name)

    def _place(self, key: str, record: Record, revision: int, *, adopt: bool) -> Entry | None:
        known = self.entries.get(key)
        if self._gone.get(key, 0) > revision or (known is not None and known.revision >= revision):
            return None
        state = _adopted(record, known) if adopt or known is None else (known.live, known.reason, known.relapses)
        desired = self.desired.get(key)
        instance = present(record, state[0], desired, record.since)
        if known is not None:
            told = adopt and instance.status == record.status
            instance = _continued(instance, known.instance, since=record.since if told else None)
            self._unindex(known)
        entry = known or Entry(key, record, revision, instance, frozenset(), *state, desired)
        entry.record, entry.revision, entry.desired = record, revision, desired
        entry.live, entry.reason, entry.relapses = state
        entry.capabilities = capabilities_of(instance)
        entry.show(instance)
        self._index(entry)
        self._compare(entry)
        self._changed(record.name)
        return entry

    def _displace(self, key: str, revision: int) -> Entry | None:
        entry = self.entries.get(key)
        if entry is None or entry.revision > revision:
            return None
        self._unindex(entry)
        self.unwritten.pop(key, None)
        self._changed(entry.record.name)
        return entry

    def _present(self, entry: Entry, since: datetime) -> None:
        shown = present(entry.record, entry.live, entry.desired, since)
        self._unlabel(entry)
        entry.show(_continued(shown, entry.instance))
        entry.capabilities = capabilities_of(shown)
        self._label(entry)
        self._compare(entry)
        self._changed(entry.record.name)

    def _compare(self, entry: Entry) -> None:
        record = entry.record
        stored = (record.status, record.reason, record.relapses, record.desired)
        if stored == (entry.instance.status, entry.shown_reason, entry.relapses, entry.desired):
            self.unwritten.pop(entry.key, None)
        else:
            self.unwritten[entry.key] = None

    def _changed(self, name: str) -> None:
        self._service(name).forget_answers()
        self._observe(name)

    def _service(self, name: str) -> Service:
        service = self.services.get(name)
        if service is None:
            service = self.services[name] = Service(name)
            self._empty[name] = None
            while len(self._empty) > MAX_EMPTY_SERVICES:
                oldest = next(iter(self._empty))
                del self._empty[oldest], self.services[oldest]
        return service

    def _index(self, entry: Entry) -> None:
        record = entry.record
        service = self._service(record.name)
        if not service.entries:
            insort(self.names, record.name)
            self._empty.pop(record.name, None)
        if record.instance_id not in service.entries:
            insort(service.order, record.instance_id)
        service.entries[record.instance_id] = entry
        self.entries[entry.key] = entry
        self._by_address.setdefault((record.name, record.host, record.port), {})[entry.key] = None
        self._by_instance.setdefault(record.instance_id, {})[record.name] = None
        self._label(entry)

    def _unindex(self, entry: Entry) -> None:
        record = entry.record
        service = self.services[record.name]
        del self.entries[entry.key], service.entries[record.instance_id]
        del service.order[bisect_right(service.order, record.instance_id) - 1]
        if not service.entries:
            del self.names[bisect_right(self.names, record.name) - 1]
            self._empty[record.name] = None
        address = record.name, record.host, record.port
        neighbours = self._by_address[address]
        del neighbours[entry.key]
        if not neighbours:
            del self._by_address[address]
        owners = self._by_instance[record.instance_id]
        owners.pop(record.name, None)
        if not owners:
            del self._by_instance[record.instance_id]
        self._unlabel(entry)

    def _label(self, entry: Entry) -> None:
        for label in labels(entry):
            self._by_label.setdefault(label, {})[entry.key] = entry

    def _unlabel(self, entry: Entry) -> None:
        for label in labels(entry):
            labelled = self._by_label.get(label, {})
            labelled.pop(entry.key, None)
            if not labelled:
                self._by_label.pop(label, None)


def _adopted(record: Record, known: Entry | None) -> tuple[Status, str, int]:
    """The state that a stored record tells of: status, reason and relapses."""
    if record.status not in MODES:
        return record.status, record.reason, record.relapses
    if known is None or known.live == CRITICAL:  # behind an operator's mode it is not critical; more is not told
        return PASSING, "", record.relapses
    return known.live, known.reason, record.relapses


def _continued(shown: Instance, before: Instance, since: datetime | None = None) -> Instance:
    """An instance that goes on: it keeps its load, and the time since when it has its status, unless that is told."""
    if since is None:
        since = before.since if shown.status == before.status else shown.since
    return msgspec.structs.replace(shown, since=since, load=before.load)


def labels(entry: Entry) -> list[tuple[str, str]]:
    """What an instance can be found by beside its service's name."""
    return [("tag", tag) for tag in entry.instance.tags] + [("capability", item) for item in entry.capabilities]


def present(record: Record, live: Status, desired: Desired | None, since: datetime) -> Instance:
    """An instance as discovery shows it: what it said of itself, with what operators want laid over it."""
    host = f"[{record.host}]" if ":" in record.host else record.host
    return Instance(
        instance_id=record.instance_id,
        name=record.name,
        host=record.host,
        port=record.port,
        protocol=record.protocol,
        url=f"{record.protocol}://{host}:{record.port}",
        health_endpoint=record.health_endpoint,
        status=effective(live, desired),
        version=record.version,
        zone=record.zone,
        tags=record.tags,
        weight=record.weight if desired is None or desired.weight is None else desired.weight,
        load=None,
        metadata=record.metadata if desired is None else {**record.metadata, **desired.metadata},
        since=since,
    )
