"""`hub.key.*`: API keys, made, listed, rotated and revoked. A key is in memory while the request is answered alone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from hub.core.apikeys import ApiKeys, expired, told
from hub.core.happenings import key_issued
from hub.core.paging import fitting
from hub.core.revocations import Revocations
from hub.errors import Conflict, HubError, InvalidRequest, NotFound, Unavailable
from hub.handlers.accessbucket import KEY, USED
from hub.handlers.clock import Clock
from hub.handlers.endpoint import Respond
from hub.handlers.proven import Signed
from hub.handlers.revoking import Revoking
from hub.identity.apikeys import Minted, credential, mint
from hub.store.events import EventLog
from hub.store.ports import Bucket, Listener, RevisionConflict
from hub.transport.loops import Beat
from hub.wire import keys as wire
from hub.wire import subjects
from hub.wire.admitted import Admitted
from hub.wire.codec import Decoder, encode
from hub.wire.roles import Caller, parse_caller

log = structlog.get_logger(__name__)

MAX_KEYS: Final = 10_000
"""Keys that are valid at one time."""
KEPT: Final = 30 * 86_400
"""Seconds after its end for which a key is still listed."""
_USE_KEPT: Final = 366 * 86_400
"""Seconds for which it is known that a key was used."""
_ATTEMPTS: Final = 5
_WRITE_PAUSE: Final = 1.0


class KeyStore:
    """Makes API keys, and ends them.

    Args:
        keys: What is known of them.
        revocations: What was revoked.
        revoking: What revokes.
        bucket: Where keys are stored.
        listener: Told here at once what was stored, as every replica is by its watch.
        events: Where to tell of changes.
        clock: Where to read the time.
        rights: What a key may be limited to; empty takes any name.
        max_bytes: The largest reply.

    Attributes:
        subjects: What it answers, and how.
    """

    def __init__(
        self,
        keys: ApiKeys,
        revocations: Revocations,
        revoking: Revoking,
        bucket: Bucket,
        listener: Listener,
        events: EventLog,
        clock: Clock,
        *,
        rights: Collection[str],
        max_bytes: int,
    ) -> None:
        self._keys = keys
        self._revocations = revocations
        self._revoking = revoking
        self._bucket = bucket
        self._listener = listener
        self._events = events
        self._clock = clock
        self._rights = rights
        self._max_bytes = max_bytes
        self._decode_create = Signed(wire.CreateKey)
        self._decode_list = Decoder(wire.ListKeys)
        self._decode_rotate = Signed(wire.RotateKey)
        self._decode_revoke = Signed(wire.RevokeKey)
        self._decode_record = msgspec.json.Decoder(wire.KeyRecord).decode
        self.subjects: dict[str, Respond] = {
            subjects.KEY_CREATE: self.create,
            subjects.KEY_LIST: self.listed,
            subjects.KEY_ROTATE: self.rotate,
            subjects.KEY_REVOKE: self.revoke,
        }

    def create(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `IssuedKey`, once it is stored."""
        return self._create(self._decode_create(payload))

    def rotate(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `IssuedKey`, once it is stored and the end of the old one is."""
        return self._rotate(self._decode_rotate(payload))

    def revoke(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `AccessChanged`, once it is stored."""
        return self._revoke(self._decode_revoke(payload))

    def listed(self, payload: bytes) -> bytes:
        """The encoded `KeyList`, as far as this hub has heard."""
        request = self._decode_list(payload)
        shown = [self._told(known.record) for known in self._keys if known.record.id > request.after]

        def encoded(kept: list[wire.Key], more: bool) -> bytes:
            return encode(wire.KeyList(keys=tuple(kept), next=kept[-1].id if more else None))

        return fitting(shown, encoded, limit=request.limit, max_bytes=self._max_bytes)

    def counts(self) -> dict[str, int]:
        """How many keys there are, by their state."""
        counted = {"valid": 0, "expired": 0, "revoked": 0}
        for known in self._keys:
            counted[self._told(known.record).state] += 1
        return counted

    # --- inside

    async def _create(self, request: wire.CreateKey) -> bytes:
        caller = _caller(request)
        self._check_scopes(request.scopes)
        now = self._clock.wall()
        expires = _end(request, now)
        if self._keys.valid(now.timestamp()) >= MAX_KEYS:
            raise Conflict(f"keys: there are {MAX_KEYS} already that have not expired; revoke some, or let them expire")
        minted = mint()
        record = wire.KeyRecord(
            id=minted.id,
            name=_name(caller),
            role=caller.role,
            digest=minted.digest,
            created=now,
            expires=expires,
            scopes=None if request.scopes is None else tuple(sorted(set(request.scopes))),
            author=request.author,
            reason=request.reason,
        )
        revision = await self._store(record, expected=0)
        self._tell(record, revision)
        return encode(_issued(minted, record))

    async def _rotate(self, request: wire.RotateKey) -> bytes:
        for _ in range(_ATTEMPTS):
            old, revision = await self._read(request.id)
            now = self._clock.wall()
            self._check_valid(old, now)
            minted = mint()
            record = msgspec.structs.replace(
                old,
                id=minted.id,
                digest=minted.digest,
                created=now,
                expires=None if old.expires is None else now + (old.expires - old.created),
                author=request.author,
                reason=request.reason or old.reason,
                replaces=old.id,
            )
            until = now + timedelta(seconds=request.overlap)
            until = until if old.expires is None else min(until, old.expires)
            stored = await self._store(record, expected=0)
            ended = msgspec.structs.replace(old, expires=until, replaced_by=minted.id)
            try:
                await self._store(ended, expected=revision)
            except RevisionConflict:
                gone = await self._bucket.delete(KEY + minted.id)  # somebody else has changed it: nobody knows this one
                self._listener.on_delete(KEY + minted.id, gone)
                continue
            self._tell(record, stored)
            return encode(_issued(minted, record, until))
        raise Unavailable(f"key {request.id}: others keep changing it; try again")

    async def _revoke(self, request: wire.RevokeKey) -> bytes:
        await self._read(request.id)
        name = credential(request.id)
        revision = await self._revoking.store(who=None, credential=name, author=request.author, reason=request.reason)
        return encode(wire.AccessChanged(who=None, credential=name, revision=revision))

    async def _read(self, key_id: str) -> tuple[wire.KeyRecord, int]:
        """What is stored of a key, and its revision."""
        entry = await self._bucket.get(KEY + key_id)
        if entry is None or entry.value is None:
            raise NotFound(f"id: there is no key {key_id}", field="id")
        try:
            return self._decode_record(entry.value), entry.revision
        except msgspec.MsgspecError:
            raise Conflict(f"key {key_id}: what is stored is not understood; revoke it, and make another") from None

    async def _store(self, record: wire.KeyRecord, *, expected: int) -> int:
        ttl = None
        if record.expires is not None:
            ttl = max(1, round((record.expires - self._clock.wall()).total_seconds())) + KEPT
        key, value = KEY + record.id, encode(record)
        revision = await self._bucket.put(key, value, expected=expected, ttl=ttl)
        self._listener.on_put(key, value, revision)
        return revision

    def _told(self, record: wire.KeyRecord) -> wire.Key:
        used = self._keys.last_use(record.id)
        return told(
            record,
            None if used is None else datetime.fromtimestamp(used, UTC),
            self._clock.wall().timestamp(),
            revoked=self._revocations.revoked(_proven(record)),
        )

    def _check_scopes(self, scopes: tuple[str, ...] | None) -> None:
        for place, scope in enumerate(scopes or ()):
            if self._rights and scope not in self._rights:
                raise InvalidRequest(
                    f"scopes[{place}]: expected one of {', '.join(sorted(self._rights))}, got {scope!r}",
                    field=f"scopes[{place}]",
                )

    def _check_valid(self, record: wire.KeyRecord, now: datetime) -> None:
        state = self._told(record).state
        if state != "valid" or expired(record, now.timestamp()):
            raise Conflict(f"key {record.id}: is {state}; make another", field="id")
        if record.replaced_by is not None:
            raise Conflict(
                f"key {record.id}: {record.replaced_by} was made in its place already; rotate that one", field="id"
            )

    def _tell(self, record: wire.KeyRecord, revision: int) -> None:
        self._events.append(key_issued(record, revision))
        log.info(
            "key issued",
            id=record.id,
            name=record.name,
            role=record.role,
            replaces=record.replaces,
            expires=None if record.expires is None else record.expires.isoformat(),
            author=record.author,
        )


class KeyUses:
    """Writes down when keys were last used, so that every replica can tell: once a minute for each at most.

    Args:
        keys: What is known of them.
        bucket: Where to write.
    """

    def __init__(self, keys: ApiKeys, bucket: Bucket) -> None:
        self._keys = keys
        self._bucket = bucket

    async def run(self, beat: Beat) -> None:
        """Write what is to be written, for ever."""
        while True:
            beat()
            await asyncio.sleep(_WRITE_PAUSE)
            for key_id, at in self._keys.unwritten():
                beat()
                use = wire.KeyUse(at=datetime.fromtimestamp(at, UTC))
                try:
                    await self._bucket.put(USED + key_id, encode(use), ttl=_USE_KEPT)
                except HubError as error:
                    log.debug("use of a key not written", id=key_id, reason=error.message)
                    break
                self._keys.use_stored(key_id, at)


def _caller(request: wire.CreateKey) -> Caller:
    """Whom the key is to be of."""
    try:
        return parse_caller(f"{request.role}:{request.name}")
    except ValueError as error:
        raise InvalidRequest(f"name: {error}", field="name") from None


def _name(caller: Caller) -> str:
    return str(caller).partition(":")[2]


def _proven(record: wire.KeyRecord) -> Admitted:
    """Whom a key lets in."""
    try:
        caller = parse_caller(f"{record.role}:{record.name}")
    except ValueError:  # it lets nobody in
        caller = Caller(role=record.role, name=record.name)
    return Admitted(caller=caller, credential=credential(record.id))


def _end(request: wire.CreateKey, now: datetime) -> datetime | None:
    """When the key is to end."""
    if request.ttl is None:
        if request.expires is not None and request.expires <= now:
            raise InvalidRequest(
                f"expires: expected a time to come, got {request.expires.isoformat()}", field="expires"
            )
        if request.expires is not None and (request.expires - now).total_seconds() > wire.LONGEST_TTL:
            raise InvalidRequest("expires: expected a time within ten years", field="expires")
        return request.expires
    if request.expires is not None:
        raise InvalidRequest("ttl: expected either `ttl` or `expires`, got both", field="ttl")
    return now + timedelta(seconds=request.ttl)


def _issued(minted: Minted, record: wire.KeyRecord, overlap_until: datetime | None = None) -> wire.IssuedKey:
    return wire.IssuedKey(
        id=record.id,
        key=minted.text,
        name=record.name,
        role=record.role,
        scopes=record.scopes,
        expires=record.expires,
        replaces=record.replaces,
        overlap_until=overlap_until,
    )
