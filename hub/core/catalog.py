"""All that is known of every instance: what is stored, what this hub has heard since, and the indexes to find it by.

A record reaches the catalog twice: at once when this hub wrote it (`anticipate`), so that the next discovery here sees
it; and in its turn through the watch (`apply`), which alone moves a service's revision, since only then everything
written before it is known too. State that was heard (`set_state`, `set_load`) lives in memory only, until the leader
writes it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from hub.core.desired import DesiredStates
from hub.core.entry import Entry, Service, adopted, continued, labels, present
from hub.core.health import (
    NO_CHECKS,
    WELL,
    heard_of,
    judged,
    newest,
    ordered,
    told,
)
from hub.core.selection import TIERS, capabilities_of
from hub.wire.checks import CheckState, name_of
from hub.wire.names import PASSING, Status
from hub.wire.record import Heard, Record
from hub.wire.subjects import instance_key, is_reserved

MAX_CACHED_QUERIES = 64
MAX_CACHED_BYTES = 4 << 20
"""What the answers kept for one service may take, lest many questions about a large one fill the memory."""
MAX_EMPTY_SERVICES = 10_000
"""Services without instances whose revision is remembered, for those who wait for their next change."""


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
        self.shaken: dict[str, None] = {}
        """Services that others depend on which have come up or gone down, and those others do not know yet."""
        self._observe = observe
        self.desired = DesiredStates()
        self._gone: dict[str, int] = {}
        self._empty: dict[str, None] = {}
        self._by_address: dict[tuple[str, str, int], dict[str, None]] = {}
        self._by_instance: dict[str, dict[str, None]] = {}
        self._by_label: dict[tuple[str, str], dict[str, Entry]] = {}
        self._dependants: dict[str, dict[str, None]] = {}

    # --- what is stored

    def told(self, key: str, revision: int) -> bool:
        """A stored record, told by the watch, that need not be looked at where it is known; returns whether it is."""
        entry = self.entries.get(key)
        if entry is None or entry.revision != revision:
            return False
        self._reach(entry.record.name, revision)
        self._gone.pop(key, None)
        return True

    def apply(self, record: Record, revision: int, *, adopt: bool = True) -> Entry | None:
        """A stored record, told by the watch. Returns None where it is no news.

        Args:
            record: What is stored.
            revision: As of when.
            adopt: Whether its state is taken over. That of a record which this hub wrote is not: what has been heard
                of the instance while it was on its way is newer.
        """
        self._reach(record.name, revision)
        key = instance_key(record.name, record.instance_id)
        if self._gone.get(key, 0) < revision:
            self._gone.pop(key, None)
        return self._place(key, record, revision, adopt=adopt)

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

    def set_state(self, key: str, status: Status, reason: str, relapses: int, since: datetime, check: str = "") -> bool:
        """How this hub has found an instance to be by what it heard. Returns whether that is news."""
        entry = self.entries.get(key)
        heard = WELL if status == PASSING else Heard(status=status, reason=reason, check=check)
        if entry is None or (entry.heard, entry.relapses) == (heard, relapses):
            return False
        entry.heard, entry.relapses = heard, relapses
        self._present(entry, since)
        return True

    def set_check(self, key: str, state: CheckState) -> Entry | None:
        """What was found of one of an instance's checks. Returns the instance where that is news."""
        entry = self.entries.get(key)
        if entry is None or entry.checks.get(state.name) == state:
            return None
        if state.name not in map(name_of, entry.record.checks):
            return None  # it has registered anew without that check
        entry.checks = {**entry.checks, state.name: state}
        entry.check_states = ordered(entry.record, entry.checks)
        self._present(entry, state.since)
        return entry

    def settle_dependants(self, since: datetime) -> None:
        """Tell those who depend on a service that it has come up or gone down."""
        while self.shaken:
            name, _ = self.shaken.popitem()
            for key in list(self._dependants.get(name, ())):
                entry = self.entries[key]
                upstream = self.upstream(entry.record.name, entry.record.depends_on)
                if upstream != entry.upstream:
                    entry.upstream = upstream
                    self._present(entry, since)

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

    def upstream(self, name: str, depends_on: Iterable[str]) -> tuple[str, ...]:
        """Those of the services that `name` depends on of which no instance can be chosen. The hub's parts are none."""
        needed = dict.fromkeys(depends_on)
        return tuple(each for each in needed if each != name and not is_reserved(each) and self._is_down(each))

    def record_to_write(self, key: str) -> Record | None:
        """The record of an instance with its state as it is now; None where the instance is gone."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        return msgspec.structs.replace(
            entry.record,
            status=entry.finding.status,
            reason=entry.finding.reason,
            check=entry.finding.check,
            heard=told(entry.heard, entry.finding),
            check_states=entry.check_states,
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
        heard, relapses = adopted(record, known) if adopt or known is None else (known.heard, known.relapses)
        checks = newest(record, known.checks if known else NO_CHECKS) if record.checks else NO_CHECKS
        upstream = self.upstream(record.name, record.depends_on) if record.depends_on else ()
        desired = self.desired.get(key)
        states = ordered(record, checks)
        finding = judged(heard, states, upstream, desired)
        instance = present(record, finding.status, desired, record.since)
        if known is not None:
            settled = adopt and instance.status == record.status
            instance = continued(instance, known.instance, since=record.since if settled else None)
            self._unindex(known)
        entry = known or Entry(
            key, record, revision, instance, frozenset(), heard, relapses, checks, states, upstream, desired, finding
        )
        entry.record, entry.revision, entry.desired = record, revision, desired
        entry.heard, entry.relapses = heard, relapses
        entry.checks, entry.check_states, entry.upstream, entry.finding = checks, states, upstream, finding
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
        """Show what is known now; as of when it is stored where it is, which all replicas agree on."""
        record = entry.record
        entry.finding = judged(entry.heard, entry.check_states, entry.upstream, entry.desired)
        stored = entry.finding.status == record.status
        shown = present(record, entry.finding.status, entry.desired, record.since if stored else since)
        self._unlabel(entry)
        self._count(entry, -1)
        entry.show(continued(shown, entry.instance))
        self._count(entry, 1)
        entry.capabilities = capabilities_of(shown)
        self._label(entry)
        self._compare(entry)
        self._changed(entry.record.name)

    def _compare(self, entry: Entry) -> None:
        record, finding = entry.record, entry.finding
        if (
            record.status == finding.status
            and record.reason == finding.reason
            and record.check == finding.check
            and record.relapses == entry.relapses
            and record.desired == entry.desired
            and heard_of(record) == entry.heard
            and record.check_states == entry.check_states
        ):
            self.unwritten.pop(entry.key, None)
        else:
            self.unwritten[entry.key] = None

    def _changed(self, name: str) -> None:
        service = self._service(name)
        service.forget_answers()
        if service.was_down != (service.choosable == 0):
            service.was_down = not service.was_down
            if name in self._dependants:
                self.shaken[name] = None
        self._observe(name)

    def _is_down(self, name: str) -> bool:
        service = self.services.get(name)
        return service is None or service.choosable == 0

    def _count(self, entry: Entry, change: int) -> None:
        """Count the instance among those of its service that may be chosen, or no more."""
        if entry.instance.status in TIERS:
            self.services[entry.record.name].choosable += change

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
        for name in record.depends_on:
            self._dependants.setdefault(name, {})[entry.key] = None
        service.found += record.source == "micro"
        self._count(entry, 1)
        self._label(entry)

    def _unindex(self, entry: Entry) -> None:
        record = entry.record
        service = self.services[record.name]
        del self.entries[entry.key], service.entries[record.instance_id]
        del service.order[bisect_right(service.order, record.instance_id) - 1]
        service.found -= record.source == "micro"
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
        for name in set(record.depends_on):
            dependants = self._dependants[name]
            dependants.pop(entry.key, None)
            if not dependants:
                del self._dependants[name]
        self._count(entry, -1)
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
