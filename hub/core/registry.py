"""The registry's decisions: what a message means for what is stored, and what time means for who is alive.

Everything that happens to instances comes in here: what the watch tells (`learned`, `unlearned`), what services say
(`admit`, `beat`), what NATS says of their connections (`disconnected`), and time passing (`tick`). What comes out is
what to store; storing is for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

import msgspec

from hub.core.catalog import Catalog
from hub.core.damping import LONGEST
from hub.core.entry import Entry
from hub.core.health import WELL, declared, fails, judged, ordered, told
from hub.core.identity import derived_instance_id
from hub.core.liveness import Liveness, Verdict
from hub.core.removal import SHARE
from hub.errors import Conflict, NotFound, Unsupported
from hub.wire.checks import Check, CheckState
from hub.wire.names import MAINTENANCE, ReportedStatus, Source
from hub.wire.record import Desired, Record
from hub.wire.registration import DEFAULT_DEREGISTER_AFTER, DEFAULT_TTL, PROBE_DEREGISTER_AFTER, Register
from hub.wire.subjects import instance_key

Wall = Callable[[], datetime]


def probes_nobody(check: Check) -> str | None:
    """Why a check cannot be made: here, none can."""
    return "this hub probes nobody"


class Admission(NamedTuple):
    """What a registration comes to: the record to store, over which revision, and whether that changes anything."""

    key: str
    record: Record
    expected: int
    changed: bool
    is_new: bool


class Write(NamedTuple):
    """A record whose state is to be written over the revision that was read.

    `moved` says that its health is other than stored, and not only what operators want of its weight or metadata.
    """

    key: str
    record: Record
    expected: int
    moved: bool


class Registry:
    """The catalog and the liveness of what is in it.

    Args:
        now: Monotonic seconds; so is every `now` below. `wall` tells the time of day, asked only for what is shown.
        observe: Called with a service's name after each visible change to it.
        default_ttl: Seconds, for those who register without.
        default_deregister_after: Seconds, for those who register without.
        probe_deregister_after: Seconds, for those who register without and are looked at.
        removal_share: The share of a larger fleet that may be removed within a minute.
        protect_threshold: For those who register without.
        cannot: Why a check cannot be made by this hub; None where it can.
    """

    def __init__(
        self,
        now: float,
        *,
        observe: Callable[[str], None] = lambda service: None,
        default_ttl: float = DEFAULT_TTL,
        default_deregister_after: float = DEFAULT_DEREGISTER_AFTER,
        probe_deregister_after: float = PROBE_DEREGISTER_AFTER,
        removal_share: float = SHARE,
        protect_threshold: float = 0.0,
        cannot: Callable[[Check], str | None] = probes_nobody,
    ) -> None:
        self.catalog = Catalog(observe)
        self.liveness = Liveness(now, removal_share=removal_share)
        self._writing: dict[bytes, Record] = {}
        self._wanted_anew: set[str] = set()
        self._default_ttl = default_ttl
        self._default_deregister_after = default_deregister_after
        self._probe_deregister_after = probe_deregister_after
        self._protect_threshold = protect_threshold or None
        self._cannot = cannot

    # --- told by the watch

    def being_written(self, value: bytes) -> Record | None:
        """The record that this hub is writing as `value` just now: the watch may tell of it before it is answered."""
        return self._writing.get(value)

    def told(self, key: str, revision: int) -> bool:
        """A record was stored. Returns whether it is known already, as what this hub wrote is: then that was all."""
        return self.catalog.told(key, revision)

    def learned(self, record: Record, revision: int, now: float, *, own: bool = False) -> None:
        """A record was stored: by another replica, which may know better how the instance is, or by this (`own`)."""
        entry = self.catalog.apply(record, revision, adopt=not own)
        if entry is not None:
            self._track(entry, now, beat=False)

    def refreshed(self, record: Record, revision: int, now: float) -> None:
        """A record was read on its own, ahead of the watch."""
        entry = self.catalog.place(record, revision)
        if entry is not None:
            self._track(entry, now, beat=False)

    def unlearned(self, key: str, revision: int) -> None:
        """A record was deleted, here or by another replica."""
        self.catalog.apply_removal(key, revision)
        if key not in self.catalog.entries:
            self.liveness.forget(key)

    # --- said by services

    def admit(self, request: Register, now: float, wall: Wall, source: Source = "registration") -> Admission:
        """What to store for a registration. It counts as a beat of an instance already known.

        What a service says itself goes before what was found out about it: an instance that was found becomes its own
        when it registers, and does not keep its id from another service that does; never the other way.

        Raises:
            Conflict: the instance id belongs to another service, or to one that has registered itself.
            Unsupported: it asks for a check that this hub cannot make.
        """
        checks = declared(request)
        for number, check in enumerate(checks):
            if why := self._cannot(check):
                field = f"checks[{number}]" if request.checks else "liveness"
                raise Unsupported(f"{field}: expected a check that can be made here, but {why}", field=field)
        instance_id = request.instance_id or self._identify(request)
        others = self.claimants(request.name, instance_id, also_found=source != "registration")
        if others:
            raise Conflict(
                f"instance_id: expected one of this service's own, {instance_id!r} belongs to {others[0]!r}",
                field="instance_id",
            )
        key = instance_key(request.name, instance_id)
        known = self.catalog.entries.get(key)
        if known is None:
            record = self._record(request, instance_id, wall(), checks, source)
            return Admission(key, record, 0, changed=True, is_new=True)
        if source != "registration" and known.record.source == "registration":
            raise Conflict(f"instance_id: {key!r} has registered itself", field="instance_id")
        verdict = self.liveness.registered(key, now)
        if verdict is not None:
            self._rule(verdict, wall())
        record = self._updated(request, known, wall, checks, source)
        return Admission(key, record, known.revision, changed=record != known.record, is_new=False)

    def claimants(self, service: str, instance_id: str, *, also_found: bool = False) -> list[str]:
        """The other services that have registered an instance of this id, or have one that was found."""
        others = [name for name in self.catalog.owners(instance_id) if name != service]
        if not also_found:
            others = [name for name in others if self.locate(name, instance_id).record.source == "registration"]
        return others

    @contextmanager
    def writing(self, record: Record, value: bytes) -> Iterator[None]:
        """This hub stores the record as `value` meanwhile, whatever becomes of it."""
        self._writing[value] = record
        try:
            yield
        finally:
            self._writing.pop(value, None)

    def admitted(self, record: Record, revision: int, now: float) -> None:
        """An admitted record was stored."""
        entry = self.catalog.anticipate(record, revision)
        if entry is not None:
            self._track(entry, now, beat=True)

    def beat(
        self, key: str, now: float, wall: Wall, status: ReportedStatus | None = None, message: str = ""
    ) -> Verdict | None:
        """An instance has beaten. Returns the change of its state, None in the common case."""
        verdict = self.liveness.beat(key, now, status, message)
        if verdict is not None:
            self._rule(verdict, wall())
        return verdict

    def checked(self, key: str, state: CheckState, now: float) -> bool:
        """A check of an instance came out so. Returns whether that is news."""
        entry = self.catalog.set_check(key, state)
        if entry is None:
            return False
        self._judge_checks(entry, now)
        return True

    def locate(self, service: str, instance_id: str, source: Source | None = None) -> Entry:
        """The instance of a service; one that came here by `source`, where that is given.

        Raises:
            NotFound: the service has no such instance.
        """
        entry = self.catalog.entries.get(instance_key(service, instance_id))
        if entry is None or source not in (None, entry.record.source):
            raise NotFound(f"instance_id: {service!r} has no instance {instance_id!r}", field="instance_id")
        return entry

    def removed(self, key: str, revision: int) -> None:
        """An instance's deletion was stored by this hub."""
        self.catalog.anticipate_removal(key, revision)
        if key not in self.catalog.entries:
            self.liveness.forget(key)

    # --- wanted by operators

    def desired(self, key: str, desired: Desired, revision: int, wall: Wall) -> None:
        """Something is wanted of an instance, whether this hub stored it or was told."""
        if self.catalog.desired.put(key, desired, revision):
            self._want(key, desired.changed_at or wall())

    def undesired(self, key: str, revision: int, wall: Wall) -> None:
        """Nothing is wanted of it any more, as the watch tells."""
        if self.catalog.desired.lift(key, revision):
            self._want(key, wall())

    def lifted(self, key: str, revision: int, wall: Wall) -> None:
        """Nothing is wanted of it any more, as this hub has just stored."""
        if self.catalog.desired.anticipate_lift(key, revision):
            self._want(key, wall())

    # --- said by NATS, and by time

    def disconnected(self, key: str, now: float, wall: Wall) -> Verdict | None:
        """The instance's own connection to NATS is gone."""
        verdict = self.liveness.disconnected(key, now)
        if verdict is not None:
            self._rule(verdict, wall())
        return verdict

    def tick(self, now: float, wall: Wall) -> list[Verdict]:
        """Time has passed: the changes of state that are due. Call about every 100 ms."""
        while self._wanted_anew:
            if entry := self.catalog.entries.get(self._wanted_anew.pop()):
                self._judge_checks(entry, now)
        verdicts = self.liveness.tick(now)
        for verdict in verdicts:
            self._rule(verdict, wall())
        if self.catalog.shaken:
            self.catalog.settle_dependants(wall())
        return verdicts

    def doubted_services(self) -> frozenset[str]:
        """The services of which instances are only kept on trust (see the mass-silence guard)."""
        return frozenset(key.partition(".")[0] for key in self.liveness.held)

    def writes(self, limit: int) -> list[Write]:
        """Up to `limit` records whose state here is not what is stored, for a leader to write."""
        found: list[Write] = []
        for key in self.catalog.unwritten:
            record = self.catalog.record_to_write(key)
            if record is not None:
                entry = self.catalog.entries[key]
                stored = entry.record.status, entry.record.reason, entry.record.check
                moved = (record.status, record.reason, record.check) != stored
                found.append(Write(key, record, entry.revision, moved))
            if len(found) >= limit:
                break
        return found

    def written(self, record: Record, revision: int) -> None:
        """A state was stored by this hub."""
        self.catalog.anticipate(record, revision)

    # --- inside

    def _rule(self, verdict: Verdict, wall: datetime) -> None:
        self.catalog.set_state(verdict.key, verdict.status, verdict.reason, verdict.relapses, wall, verdict.check)

    def _track(self, entry: Entry, now: float, *, beat: bool) -> None:
        record = entry.record
        self.liveness.track(
            entry.key,
            record.liveness,
            record.ttl,
            record.deregister_after,
            entry.heard.status,
            entry.relapses,
            now,
            beat=beat,
        )
        if record.liveness == "probe":
            self._judge_checks(entry, now)

    def _judge_checks(self, entry: Entry, now: float) -> None:
        """Whether its checks lead to its removal: not while it is being worked on, when it may well fail them."""
        in_maintenance = entry.desired is not None and entry.desired.mode == MAINTENANCE
        flaps = any(state.flapping for state in entry.checks.values())
        failing = not in_maintenance and fails(entry.checks.values())
        patience = LONGEST if flaps else 0.0
        self.liveness.failing(entry.key, failing, now, patience=patience, renewed=entry.record.renewed)

    def _want(self, key: str, since: datetime) -> None:
        self.catalog.desire_changed(key, since)
        self._wanted_anew.add(key)

    def _identify(self, request: Register) -> str:
        """The id of a registration without one: that of the instance known at its address, else one made from that."""
        known = self.catalog.at(request.name, request.host, request.port)
        return known.record.instance_id if known else derived_instance_id(request.name, request.host, request.port)

    def _record(
        self, request: Register, instance_id: str, wall: datetime, checks: tuple[Check, ...], source: Source
    ) -> Record:
        desired = self.catalog.desired.get(instance_key(request.name, instance_id))
        upstream = self.catalog.upstream(request.name, request.depends_on) if request.depends_on else ()
        finding = judged(WELL, (), upstream, desired)
        return Record(
            name=request.name,
            instance_id=instance_id,
            host=request.host,
            port=request.port,
            registered_at=wall,
            since=wall,
            protocol=request.protocol,
            health_endpoint=request.health_endpoint,
            metadata=request.metadata,
            version=request.version,
            zone=request.zone,
            tags=request.tags,
            weight=request.weight,
            depends_on=request.depends_on,
            liveness=request.liveness,
            ttl=self._default_ttl if request.ttl is None else request.ttl,
            deregister_after=self._deregister_after(request),
            checks=checks,
            protect_threshold=self._protect_threshold
            if request.protect_threshold is None
            else request.protect_threshold or None,
            source=source,
            status=finding.status,
            reason=finding.reason,
            check=finding.check,
            heard=told(WELL, finding),
            desired=desired,
        )

    def _deregister_after(self, request: Register) -> float:
        if request.deregister_after is not None:
            return request.deregister_after
        return self._probe_deregister_after if request.liveness == "probe" else self._default_deregister_after

    def _updated(
        self, request: Register, known: Entry, wall: Wall, checks: tuple[Check, ...], source: Source
    ) -> Record:
        """The registration anew, of an instance that keeps its age, and its state as far as that still counts."""
        record = self._record(request, known.record.instance_id, known.record.registered_at, checks, source)
        states = ordered(record, known.checks)
        upstream = self.catalog.upstream(record.name, record.depends_on)
        finding = judged(known.heard, states, upstream, known.desired)
        return msgspec.structs.replace(
            record,
            since=known.instance.since,
            status=finding.status,
            reason=finding.reason,
            check=finding.check,
            heard=told(known.heard, finding),
            check_states=states,
            renewed=wall() if record.liveness == "probe" and fails(states) else known.record.renewed,
            relapses=known.relapses,
        )
