"""`hub.register` and `hub.deregister`: decided by what is known, written by compare-and-set, answered when stored."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import msgspec

from hub.core.answers import Answers
from hub.core.canary import Traits, traits
from hub.core.happenings import happened
from hub.core.registry import Admission, Registry
from hub.errors import NotFound, PayloadTooLarge, Unavailable
from hub.handlers.clock import Clock
from hub.handlers.configschemas import RegisteredSchemas
from hub.store.events import EventLog
from hub.store.ports import Bucket, RevisionConflict
from hub.telemetry.metrics import Metrics
from hub.telemetry.request import note_change
from hub.wire import subjects
from hub.wire.codec import Decoder, encode
from hub.wire.discovery import Discover, Discovered
from hub.wire.names import Source
from hub.wire.record import Record
from hub.wire.registration import BEATS_PER_TTL, Deregister, Deregistered, Register, Registered, SchemaOutcome

_ATTEMPTS = 5
_DEPENDENCY_INSTANCES = 32
"""How many instances of each dependency a boot reply carries; who needs more asks for them."""

_SHOWN_BESIDES = 1024
"""What discovery shows of an instance beside what is stored, and what a state's reason may add to that, in bytes."""


class Stored(NamedTuple):
    """What the store says of a key, once it was found to be other than thought."""

    revision: int
    record: Record | None


class Registration:
    """Puts instances into the registry and takes them out."""

    def __init__(
        self,
        registry: Registry,
        answers: Answers,
        bucket: Bucket,
        events: EventLog,
        clock: Clock,
        metrics: Metrics,
        *,
        config: Callable[[str, Traits], dict[str, Any]],
        schemas: RegisteredSchemas,
    ) -> None:
        self._config = config
        self._schemas = schemas
        self._registry = registry
        self._answers = answers
        self._bucket = bucket
        self._events = events
        self._clock = clock
        self._metrics = metrics
        self._decode_register = Decoder(Register)
        self._decode_deregister = Decoder(Deregister)
        self._decode_record = msgspec.json.Decoder(Record).decode

    def register(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `Registered`, once the registration is stored."""
        request = self._decode_register(payload)
        return self._register(request)

    def deregister(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `Deregistered`, once the instance is gone."""
        return self._deregister(self._decode_deregister(payload))

    async def _register(self, request: Register) -> bytes:
        record, revision = await self.store(request)
        outcome = None if request.config_schema is None else await self._schemas.take(request.config_schema, record)
        return self._registered(request, record, revision, outcome)

    async def _deregister(self, request: Deregister) -> bytes:
        return encode(Deregistered(revision=await self.remove(request)))

    async def store(self, request: Register, source: Source = "registration") -> tuple[Record, int]:
        """Put an instance into the registry, or update it. Returns it as it is stored, and the revision of that.

        Raises:
            Conflict: the instance id belongs to another.
            PayloadTooLarge: no reply could show it.
            Unavailable, DeadlineExceeded: the store cannot be written.
        """
        marker = 0
        for _ in range(_ATTEMPTS):
            admission = self._registry.admit(request, self._clock.now(), self._clock.wall, source)
            if not admission.changed and await self._is_stored(admission):
                self._metrics.registrations["unchanged"] += 1
                note_change(False)
                return admission.record, admission.expected
            value = encode(admission.record)
            self._check_size(value)
            try:
                with self._registry.writing(admission.record, value):
                    revision = await self._bucket.put(admission.key, value, expected=admission.expected or marker)
            except RevisionConflict:
                stored = await self._refresh(admission.key)
                marker = stored.revision if stored.record is None else 0
                continue
            self._registry.admitted(admission.record, revision, self._clock.now())
            note_change(True)
            self._metrics.registrations["new" if admission.is_new else "updated"] += 1
            if admission.is_new:
                self._events.append(happened("service.registered", admission.record, revision, self._clock.wall()))
            return admission.record, revision
        raise Unavailable(f"{request.name}: others keep writing this instance; try again")

    async def remove(self, request: Deregister, source: Source | None = None) -> int:
        """Take an instance out of the registry; one of that `source` alone, where it is given. Returns the revision.

        Raises:
            NotFound: the service has no such instance.
            Unavailable, DeadlineExceeded: the store cannot be written.
        """
        key = subjects.instance_key(request.name, request.instance_id)
        for _ in range(_ATTEMPTS):
            try:
                entry = self._registry.locate(request.name, request.instance_id, source)
            except NotFound:
                if (await self._refresh(key)).record is None:  # it may have come through another replica just now
                    raise
                continue
            try:
                revision = await self._bucket.delete(key, expected=entry.revision)
            except RevisionConflict:
                await self._refresh(key)
                continue
            self._registry.removed(key, revision)
            self._metrics.deregistrations += 1
            reason = request.reason or "deregistered"
            self._events.append(
                happened("service.deregistered", entry.record, revision, self._clock.wall(), reason=reason)
            )
            return revision
        raise Unavailable(f"{key}: others keep writing this instance; try again")

    async def _refresh(self, key: str) -> Stored:
        """Read the key, since the store has it otherwise than we do, and learn what it says."""
        stored = await self._bucket.get(key)
        if stored is None or stored.value is None:
            revision = stored.revision if stored else 0
            known = self._registry.catalog.entries.get(key)
            if known is not None:
                self._registry.removed(key, max(revision, known.revision))
            return Stored(revision, None)
        record = self._decode_record(stored.value)
        self._registry.refreshed(record, stored.revision, self._clock.now())
        return Stored(stored.revision, record)

    async def _is_stored(self, admission: Admission) -> bool:
        """Whether what we know is what is stored, and not what another replica has just taken out.

        In a cluster the store may answer a moment behind. Where that leaves a doubt, writing settles it.
        """
        stored = await self._bucket.get(admission.key)
        return stored is not None and stored.value is not None and stored.revision <= admission.expected

    def _check_size(self, value: bytes) -> None:
        room = self._answers.budget - _SHOWN_BESIDES
        if len(value) > room:
            raise PayloadTooLarge(
                f"message: expected a registration of at most {room} bytes as stored, got {len(value)}"
            )

    def _registered(self, request: Register, record: Record, revision: int, schema: SchemaOutcome | None) -> bytes:
        return encode(
            Registered(
                name=record.name,
                instance_id=record.instance_id,
                revision=revision,
                heartbeat_interval=record.ttl / BEATS_PER_TTL,
                ttl=record.ttl,
                heartbeat_subject=subjects.heartbeat(subjects.instance_key(record.name, record.instance_id)),
                dependencies=self._dependencies(record) if "dependencies" in request.include else None,
                config=self._config(record.name, traits(record)) if "config" in request.include else None,
                config_schema=schema,
            )
        )

    def _dependencies(self, record: Record) -> dict[str, Discovered]:
        """What the instance depends on, as far as it fits into the reply; the caller discovers what is missing."""
        found: dict[str, Discovered] = {}
        room = self._answers.budget
        for name in record.depends_on:
            answer = self._answers.discover(Discover(name=name, limit=_DEPENDENCY_INSTANCES))
            room -= len(answer) + len(name) + 4
            if room < 0:
                break
            found[name] = msgspec.json.decode(answer, type=Discovered)
        return found
