"""`hub.admin.*`: what operators want of instances, written by compare-and-set, and in effect here when it is answered.

The bucket tells the other replicas; whichever leads writes it into the record, which tells the caches of the SDK.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from random import uniform
from typing import Any, Final

import msgspec

from hub.core import desired as core
from hub.core.desired import NOTHING, Wanted
from hub.core.happenings import desired as told
from hub.core.registry import Registry
from hub.errors import NotFound, PayloadTooLarge, Unavailable
from hub.handlers.clock import Clock
from hub.handlers.endpoint import Respond
from hub.handlers.proven import Signed
from hub.store.events import EventLog
from hub.store.ports import Bucket, RevisionConflict
from hub.wire import admin, subjects
from hub.wire.codec import Decoder, encode
from hub.wire.names import DRAINING, MAINTENANCE
from hub.wire.record import Desired

MAX_METADATA_BYTES: Final = 16 * 1024
"""What operators may lay over the metadata of one instance."""

_ATTEMPTS: Final = 12
_BACK_OFF: Final = 0.01
"""Seconds, times the attempt, within which those who lost against each other try again."""
_AT_ONCE: Final = 64
_SHOWN_BESIDES: Final = 1024
"""What discovery shows of an instance beside what is stored, in bytes."""

Change = Callable[[Desired], Desired]


class Admin:
    """Answers operators.

    Args:
        registry: Whom there is to want something of.
        bucket: The registry's bucket.
        desired: The bucket of what is wanted.
        events: Where to tell of changes.
        clock: Where to read the time.
        max_bytes: The largest list in a reply.

    Attributes:
        subjects: What it answers, and how.
    """

    def __init__(
        self, registry: Registry, bucket: Bucket, desired: Bucket, events: EventLog, clock: Clock, *, max_bytes: int
    ) -> None:
        self._registry = registry
        self._bucket = bucket
        self._desired = desired
        self._events = events
        self._clock = clock
        self._max_bytes = max_bytes
        self._decode_drain = Signed(admin.Drain)
        self._decode_undrain = Signed(admin.Undrain)
        self._decode_maintenance = Signed(admin.Maintenance)
        self._decode_weight = Signed(admin.OverrideWeight)
        self._decode_metadata = Signed(admin.OverrideMetadata)
        self._decode_get = Decoder(admin.GetDesired)
        self._decode_desired = msgspec.json.Decoder(Desired).decode
        self.subjects: dict[str, Respond] = {
            subjects.ADMIN_DRAIN: self.drain,
            subjects.ADMIN_UNDRAIN: self.undrain,
            subjects.ADMIN_MAINTENANCE: self.maintenance,
            subjects.ADMIN_WEIGHT: self.weight,
            subjects.ADMIN_METADATA: self.metadata,
            subjects.ADMIN_GET: self.get,
        }

    def drain(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `Desires`, once it is stored that the target drains."""
        request = self._decode_drain(payload)
        return self._change("drain", request, lambda before: core.with_mode(before, DRAINING, request.reason))

    def undrain(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `Desires`, once it is stored that the target drains no more."""
        request = self._decode_undrain(payload)
        return self._change("undrain", request, lambda before: core.without_mode(before, DRAINING, request.reason))

    def maintenance(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `Desires`, once it is stored that the target is in maintenance, or no more."""
        request = self._decode_maintenance(payload)
        decide, name = (core.with_mode, "maintenance on") if request.on else (core.without_mode, "maintenance off")
        return self._change(name, request, lambda before: decide(before, MAINTENANCE, request.reason))

    def weight(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `Desires`, once the weight is stored."""
        request = self._decode_weight(payload)
        return self._change("weight", request, lambda before: core.with_weight(before, request.weight, request.reason))

    def metadata(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `Desires`, once the metadata is stored."""
        request = self._decode_metadata(payload)
        return self._change(
            "metadata", request, lambda before: core.with_metadata(before, request.metadata, request.reason)
        )

    def get(self, payload: bytes) -> bytes:
        """The encoded `Desires`: of whom something is wanted, as far as this hub has heard."""
        request = self._decode_get(payload)
        keys = self._registry.catalog.desired.keys(request.name)
        if request.instance_id is not None:
            wanted = subjects.instance_key(request.name, request.instance_id)
            keys = [key for key in keys if key == wanted]
        return self._listed((key for key in keys if key > request.after), request.limit)

    # --- inside

    async def _change(self, name: str, target: admin.Target, change: Change) -> bytes:
        """Change what is wanted of everybody the request is about."""
        keys = await self._keys(target)
        for start in range(0, len(keys), _AT_ONCE):
            some = (self._change_one(name, key, target, change) for key in keys[start : start + _AT_ONCE])
            for outcome in await asyncio.gather(*some, return_exceptions=True):
                if outcome is not None:
                    raise outcome
        return self._listed(keys, 0)

    async def _keys(self, target: admin.Target) -> list[str]:
        """Whom a request is about, sorted.

        Raises:
            NotFound: nobody known.
        """
        catalog = self._registry.catalog
        if target.instance_id is not None:
            key = subjects.instance_key(target.name, target.instance_id)
            if target.unregistered or await self._is_known(key):
                return [key]
            raise NotFound(
                f"instance_id: {target.name!r} has no instance {target.instance_id!r}; "
                "`unregistered` would let this hold from its first registration on",
                field="instance_id",
            )
        service = catalog.services.get(target.name)
        registered = {entry.key for entry in service.entries.values()} if service else set()
        if not (keys := registered.union(catalog.desired.keys(target.name))):
            raise NotFound(f"name: no instance of {target.name!r} is registered", field="name")
        return sorted(keys)

    async def _is_known(self, key: str) -> bool:
        """Whether the instance is registered or something is wanted of it, perhaps through another replica."""
        catalog = self._registry.catalog
        if key in catalog.entries or catalog.desired.get(key) is not None:
            return True
        found = await asyncio.gather(self._bucket.get(key), self._desired.get(key))
        return any(entry is not None and entry.value is not None for entry in found)

    async def _change_one(self, name: str, key: str, target: admin.Target, change: Change) -> None:
        """Change what is wanted of one instance: what is known here is tried first, then what is stored."""
        before, fresh = self._registry.catalog.desired.wanted(key), False
        for attempt in range(_ATTEMPTS):
            now = self._clock.wall()
            after = core.signed(before.desired, change(before.desired), target.author, now)
            if after == before.desired:
                if fresh:
                    return
            else:
                self._check_size(key, after)
                try:
                    revision = await self._store(key, after, before.revision)
                except RevisionConflict:
                    await asyncio.sleep(uniform(0, _BACK_OFF * attempt))
                else:
                    reason = target.reason or ""
                    self._events.append(told(key, name, after, revision, now, reason=reason, author=target.author))
                    return
            before, fresh = await self._read(key), True
        raise Unavailable(f"{key}: others keep changing what is wanted of this instance; try again")

    async def _store(self, key: str, desired: Desired, expected: int) -> int:
        """Write what is wanted now, and let it take effect here. Raises as `Bucket.put` does."""
        if desired == NOTHING:
            revision = await self._desired.delete(key, expected=expected)
            self._registry.lifted(key, revision, self._clock.wall)
        else:
            revision = await self._desired.put(key, encode(desired), expected=expected)
            self._registry.desired(key, desired, revision, self._clock.wall)
        return revision

    async def _read(self, key: str) -> Wanted:
        """What is stored of an instance, which is learnt here too; what is known here, where that is newer.

        In a cluster the store may answer a moment behind.
        """
        states = self._registry.catalog.desired
        stored = await self._desired.get(key)
        if stored is None or stored.revision < states.wanted(key).revision:
            return states.wanted(key)
        if stored.value is not None:
            self._registry.desired(key, self._decode_desired(stored.value), stored.revision, self._clock.wall)
            return states.wanted(key)
        if states.get(key) is not None:
            self._registry.lifted(key, stored.revision, self._clock.wall)
        return Wanted(NOTHING, stored.revision)

    def _check_size(self, key: str, desired: Desired) -> None:
        size = len(encode(desired.metadata))
        if size > MAX_METADATA_BYTES:
            raise PayloadTooLarge(f"metadata: expected at most {MAX_METADATA_BYTES} bytes in all, got {size}")
        entry = self._registry.catalog.entries.get(key)
        if entry is not None:
            size = len(encode(msgspec.structs.replace(entry.record, desired=desired)))
            room = self._max_bytes - _SHOWN_BESIDES
            if size > room:
                raise PayloadTooLarge(f"{key}: expected a record of at most {room} bytes with this, got {size}")

    def _listed(self, keys: Iterable[str], limit: int) -> bytes:
        """The encoded list, cut where `limit` (0: no limit) or the largest reply says so."""
        rows: list[admin.InstanceDesired] = []
        size = 0
        for key in keys:
            row = self._row(key)
            size += len(encode(row)) + 1
            if rows and ((limit and len(rows) >= limit) or size > self._max_bytes):
                last = subjects.instance_key(rows[-1].name, rows[-1].instance_id)
                return encode(admin.Desires(instances=tuple(rows), next=last))
            rows.append(row)
        return encode(admin.Desires(instances=tuple(rows)))

    def _row(self, key: str) -> admin.InstanceDesired:
        name, _, instance_id = key.partition(".")
        entry = self._registry.catalog.entries.get(key)
        wanted = self._registry.catalog.desired.wanted(key)
        return admin.InstanceDesired(
            name=name,
            instance_id=instance_id,
            status=entry.instance.status if entry else None,
            revision=wanted.revision,
            desired=wanted.desired,
        )
