"""`hub.secret.*`: secrets, stored encrypted, and told to those alone who may read them.

A value is in memory only while a request is answered that brings or asks for it: in no error, no log and no event.
"""

from __future__ import annotations

import asyncio
import secrets as random
from collections.abc import Callable, Collection, Coroutine
from random import uniform
from typing import Any, Final, Literal

import msgspec
import structlog

from hub.core.access import may_read
from hub.core.condition import Condition, together, warning
from hub.core.happenings import secret_changed
from hub.core.secrets import Known, Secrets, told
from hub.errors import Conflict, Forbidden, HubError, InvalidRequest, NotFound, PayloadTooLarge, Unavailable
from hub.handlers.changes import ANY, Changes
from hub.handlers.clock import Clock
from hub.handlers.endpoint import Respond
from hub.handlers.keyring import Keys
from hub.handlers.proven import Signed, service
from hub.handlers.sparing import Sparing
from hub.store.events import EventLog
from hub.store.ports import Bucket, RevisionConflict
from hub.vault import envelope, transit
from hub.wire import secrets as wire
from hub.wire import subjects
from hub.wire.codec import Decoder, encode
from hub.wire.secrets import Sealed, SecretRecord

log = structlog.get_logger(__name__)

_ATTEMPTS: Final = 12
_BACK_OFF: Final = 0.01
"""Seconds, times the attempt, within which those who lost against each other try again."""
_CATCH_UP: Final = 3.0
"""Seconds in which what others have stored must be known here."""
_UNREADABLE_SHOWN: Final = 100
_USERS_SHOWN: Final = 5
_IN_THE_CLEAR: Final = (
    "seal_to: expected a public key to seal the values for, got none: they would travel without TLS. The SDK sends one "
    "where the extra `secrets` is installed (pip install 'central-hub[secrets]'); or let NATS speak TLS"
)
_UNSEALED: Final = Sealed(key_id="", wrapped=b"", ciphertext=b"")


class SecretStore:
    """Stores secrets, and tells them to their readers.

    Args:
        secrets: What is known of them.
        keys: What they are encrypted with.
        bucket: Where they are stored.
        events: Where to tell of changes.
        changes: Told of every revision that becomes known here.
        clock: Where to read the time.
        users: Whose configuration refers to a secret.
        max_bytes: The largest reply.
        sealed_only: Whether values leave sealed alone, for want of TLS on their way.

    Attributes:
        subjects: What it answers, and how.
    """

    def __init__(
        self,
        secrets: Secrets,
        keys: Keys,
        bucket: Bucket,
        events: EventLog,
        changes: Changes,
        clock: Clock,
        users: Callable[[str], Collection[str]],
        *,
        max_bytes: int,
        sealed_only: bool = False,
    ) -> None:
        self._secrets = secrets
        self._keys = keys
        self._bucket = bucket
        self._events = events
        self._changes = changes
        self._clock = clock
        self._users = users
        self._max_bytes = max_bytes
        self._sealed_only = sealed_only
        self._sparing = Sparing()
        self._decode_put = Signed(wire.PutSecret)
        self._decode_delete = Signed(wire.DeleteSecret)
        self._decode_list = Decoder(wire.ListSecrets)
        self._decode_resolve = Decoder(wire.ResolveSecrets)
        self._decode_rekey = Decoder(wire.RekeySecrets)
        self._decode_record = msgspec.json.Decoder(SecretRecord).decode
        self.subjects: dict[str, Respond] = {
            subjects.SECRET_PUT: self.put,
            subjects.SECRET_DELETE: self.delete,
            subjects.SECRET_LIST: self.listed,
            subjects.SECRET_RESOLVE: self.resolve,
            subjects.SECRET_REKEY: self.rekey,
        }

    @property
    def condition(self) -> Condition:
        """How the keys are, and whether there are secrets that none of them decrypts."""
        unknown = {known.record.sealed.key_id for known in self._secrets} - set(self._keys.ring.ids)
        found = sum(known.record.sealed.key_id in unknown for known in self._secrets)
        lacking = (
            f"{found} secret{'s are' if found > 1 else ' is'} encrypted with a key that this hub does not have "
            f"({', '.join(sorted(unknown))}): add it to secrets.key_file"
        )
        return together([self._keys.condition, warning(lacking if found else "")])

    def counts(self) -> dict[str, int]:
        """How many secrets are encrypted with the current key, with another, and with one that is not here."""
        counted = {"current": 0, "old": 0, "unknown": 0}
        ring = self._keys.ring
        for known in self._secrets:
            key_id = known.record.sealed.key_id
            is_current = ring.current is not None and ring.current.id == key_id
            counted["current" if is_current else "old" if key_id in ring else "unknown"] += 1
        return counted

    # --- for operators

    def put(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `SecretChanged`, once it is stored."""
        return self._put(self._decode_put(payload))

    def delete(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `SecretChanged`, once it is gone."""
        return self._delete(self._decode_delete(payload))

    def rekey(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `Rekeyed`, once what can be decrypted is encrypted with the current key."""
        self._decode_rekey(payload)
        return self._rekey()

    def listed(self, payload: bytes) -> bytes:
        """The encoded `SecretList`, as far as this hub has heard."""
        request = self._decode_list(payload)
        shown = [told(known) for known in self._secrets if known.record.name > request.after]
        kept = shown[: request.limit] if request.limit else shown
        current = self._keys.ring.current
        while True:
            following = kept[-1].name if kept and len(kept) < len(shown) else None
            reply = wire.SecretList(secrets=tuple(kept), key_id=None if current is None else current.id, next=following)
            encoded = encode(reply)
            if len(encoded) <= self._max_bytes or len(kept) <= 1:
                return encoded
            kept = kept[: len(kept) // 2]

    # --- for services

    def resolve(self, payload: bytes) -> bytes | Coroutine[Any, Any, bytes]:
        """The encoded `ResolvedSecrets`: at once, or after a look at what this hub may not have heard of yet."""
        request = self._decode_resolve(payload)
        asking = service(request.service)
        if self._sealed_only and request.seal_to is None:
            raise Forbidden(_IN_THE_CLEAR, field="seal_to")
        if request.min_revision <= self._secrets.revision and not self._lacking(asking, request):
            return self._resolved(asking, request)
        return self._resolved_later(asking, request)

    # --- for the hub

    async def look_up(self, names: Collection[str]) -> None:
        """Learn what is stored of these secrets, where this hub may not have heard of it yet."""
        for name in names:
            if wire.is_secret_name(name):
                await self._read(name)

    # --- inside

    async def _put(self, request: wire.PutSecret) -> bytes:
        size = len(request.value.encode())
        if size > wire.MAX_VALUE_BYTES:
            raise PayloadTooLarge(
                f"value: expected at most {wire.MAX_VALUE_BYTES} bytes in UTF-8, got {size}", field="value"
            )
        await self._keys.refresh()
        envelope.current(self._keys.ring)

        def drafted(known: Known | None) -> SecretRecord:
            readers = request.readers if request.readers is not None else known.record.readers if known else None
            if readers is None:
                raise InvalidRequest(
                    f'readers: expected who may read {request.name}, as in ["trading-*"]: it is new', field="readers"
                )
            blank = SecretRecord(
                name=request.name,
                version=random.token_hex(16),
                at=self._clock.wall(),
                readers=tuple(sorted(set(readers))),
                sealed=_UNSEALED,
                author=request.author,
                reason=request.reason,
            )
            return envelope.seal(self._keys.ring, blank, request.value)

        revision = await self._store(request.name, drafted, request.revision)
        self._tell(request.name, "put", revision, request.author, request.reason)
        return encode(wire.SecretChanged(name=request.name, revision=revision))

    async def _delete(self, request: wire.DeleteSecret) -> bytes:
        name = request.name
        await self._read(name)
        for attempt in range(_ATTEMPTS):
            known = self._secrets.get(name)
            if known is None:
                raise NotFound(f"name: there is no secret {name!r}", field="name")
            self._check_revision(name, request.revision)
            self._check_unused(name, force=request.force)
            try:
                revision = await self._bucket.delete(name, expected=known.revision)
            except RevisionConflict:
                await asyncio.sleep(uniform(0, _BACK_OFF * attempt))
                await self._read(name)
            else:
                self._secrets.forget(name, revision)
                self._tell(name, "delete", revision, request.author, request.reason)
                return encode(wire.SecretChanged(name=name, revision=revision))
        raise _contended(name)

    async def _rekey(self) -> bytes:
        await self._keys.refresh()
        key = envelope.current(self._keys.ring)
        rekeyed, unreadable = 0, []
        for known in list(self._secrets):
            name = known.record.name
            try:
                revision = await self._rekey_one(name, key.id)
            except (envelope.UnknownKey, envelope.Tampered) as error:
                log.error("secret cannot be encrypted anew", name=name, reason=error.message)
                unreadable.append(name)
            else:
                rekeyed += revision is not None
        log.info("secrets encrypted anew", key=key.id, rekeyed=rekeyed, unreadable=len(unreadable))
        return encode(wire.Rekeyed(key_id=key.id, rekeyed=rekeyed, unreadable=tuple(unreadable[:_UNREADABLE_SHOWN])))

    async def _rekey_one(self, name: str, key_id: str) -> int | None:
        """Encrypt one secret with the current key, and return its revision; None where it is already, or is gone."""
        for attempt in range(_ATTEMPTS):
            known = self._secrets.get(name)
            if known is None or known.record.sealed.key_id == key_id:
                return None
            ring = self._keys.ring
            record = envelope.seal(ring, known.record, envelope.unseal(ring, known.record))
            try:
                revision = await self._bucket.put(name, encode(record), expected=known.revision)
            except RevisionConflict:
                await asyncio.sleep(uniform(0, _BACK_OFF * attempt))
                await self._read(name)
            else:
                self._secrets.learn(record, revision)
                self._tell(name, "rekey", revision, "", "")
                return revision
        raise _contended(name)

    async def _store(self, name: str, drafted: Callable[[Known | None], SecretRecord], wanted: int | None) -> int:
        """Write what `drafted` makes of what is stored, by compare-and-set, and return the new revision."""
        if wanted is not None and wanted != self._known_revision(name):
            await self._read(name)
        for attempt in range(_ATTEMPTS):
            self._check_revision(name, wanted)
            record = drafted(self._secrets.get(name))
            try:
                revision = await self._bucket.put(name, encode(record), expected=self._secrets.newest(name))
            except RevisionConflict:
                await asyncio.sleep(uniform(0, _BACK_OFF * attempt))
                await self._read(name)
            else:
                self._secrets.learn(record, revision)
                return revision
        raise _contended(name)

    async def _read(self, name: str) -> None:
        """Learn what is stored under a name. In a cluster the store may answer a moment behind."""
        entry = await self._bucket.get(name)
        if entry is None:
            self._secrets.vanished(name)
        elif entry.value is None:
            self._secrets.forget(name, entry.revision)
        else:
            try:
                record = self._decode_record(entry.value)
            except msgspec.MsgspecError:
                raise envelope.Tampered(f"secret {name}: what is stored is not understood; put it again") from None
            if record.name != name:
                raise envelope.Tampered(f"secret {name}: what is stored is that of another; put it again")
            self._secrets.learn(record, entry.revision)

    def _lacking(self, service: str, request: wire.ResolveSecrets) -> list[str]:
        """The secrets that would be refused by what is known here: something newer may be on its way."""
        known = {name: self._secrets.get(name) for name in request.names}
        return [
            name
            for name, each in known.items()
            if each is None
            or not may_read(service, each.record.readers)
            or each.record.sealed.key_id not in self._keys.ring
        ]

    def _resolved(self, service: str, request: wire.ResolveSecrets) -> bytes:
        found: dict[str, wire.ResolvedSecret] = {}
        for place, name in enumerate(request.names):
            try:
                found[name] = self._resolved_one(service, name, f"names[{place}]")
            except HubError as error:
                self._tell_refused(service, request.instance_id, error)
                raise
        encoded = encode(_sealed(request, wire.ResolvedSecrets(secrets=found)))
        if len(encoded) > self._max_bytes:
            raise PayloadTooLarge(
                f"reply: expected at most {self._max_bytes} bytes, as NATS takes them here, got {len(encoded)}; "
                "ask for fewer secrets at a time"
            )
        return encoded

    def _resolved_one(self, service: str, name: str, field: str) -> wire.ResolvedSecret:
        known = self._secrets.get(name)
        if known is None:
            raise NotFound(f"secret {name}: does not exist", field=field)
        if not may_read(service, known.record.readers):
            raise Forbidden(f"secret {name}: {service} is none of its readers", field=field)
        return wire.ResolvedSecret(revision=known.revision, value=envelope.unseal(self._keys.ring, known.record))

    async def _resolved_later(self, service: str, request: wire.ResolveSecrets) -> bytes:
        try:
            async with asyncio.timeout(_CATCH_UP):
                while self._secrets.revision < request.min_revision and not self._changes.closed:
                    await self._changes.reached(ANY, request.min_revision)
        except TimeoutError:
            raise Unavailable(
                f"secrets: this hub knows them up to revision {self._secrets.revision}, and not "
                f"{request.min_revision} yet; try again"
            ) from None
        if lacking := self._lacking(service, request):
            await self.look_up(lacking)
            await self._keys.refresh()
        return self._resolved(service, request)

    def _known_revision(self, name: str) -> int:
        known = self._secrets.get(name)
        return known.revision if known else 0

    def _check_revision(self, name: str, wanted: int | None) -> None:
        newest = self._known_revision(name)
        if wanted is not None and wanted != newest:
            raise Conflict(
                f"secret {name}: expected revision {wanted}, its newest is {newest}; list them again", field="revision"
            )

    def _check_unused(self, name: str, *, force: bool) -> None:
        if force or not (users := sorted(self._users(name))):
            return
        more = f" and {len(users) - _USERS_SHOWN} more" if len(users) > _USERS_SHOWN else ""
        raise Conflict(
            f"secret {name}: the configuration of {', '.join(users[:_USERS_SHOWN])}{more} refers to it; change that "
            "first, or force it: who uses it then goes on with the value it has, and cannot start anew",
            field="name",
        )

    def _tell(
        self, name: str, change: Literal["put", "delete", "rekey"], revision: int, author: str, reason: str
    ) -> None:
        now = self._clock.wall()
        self._events.append(secret_changed(name, change, revision, now, reason=reason, author=author))
        log.info("secret changed", name=name, change=change, revision=revision, author=author)

    def _tell_refused(self, service: str, instance_id: str | None, error: HubError) -> None:
        if isinstance(error, Forbidden | envelope.UnknownKey | envelope.Tampered) and (
            (omitted := self._sparing.take()) is not None
        ):
            log.warning(
                "secret not told",
                service=service,
                instance=instance_id,
                code=error.code,
                reason=error.message,
                omitted_before=omitted,
            )


def _sealed(request: wire.ResolveSecrets, answer: wire.ResolvedSecrets) -> wire.ResolvedSecrets:
    """The answer as it leaves: sealed, where that was asked for."""
    if request.seal_to is None:
        return answer
    try:
        key, ciphertext = transit.seal(request.seal_to, encode(answer), transit.answer_to(request))
    except ValueError:
        raise InvalidRequest(
            "seal_to: expected a public key (X25519), got one that leads to none", field="seal_to"
        ) from None
    return wire.ResolvedSecrets(secrets={}, sealed=wire.SealedAnswer(key=key, ciphertext=ciphertext))


def _contended(name: str) -> Unavailable:
    return Unavailable(f"secret {name}: others keep changing it; try again")
