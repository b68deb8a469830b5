"""`hub.access.*`: whom the hub lets in no more."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Literal

import structlog

from hub.core.happenings import access_changed
from hub.core.paging import fitting
from hub.core.revocations import Revocations, stored_as, what
from hub.errors import InvalidRequest, NotFound
from hub.handlers.accessbucket import REVOKED
from hub.handlers.clock import Clock
from hub.handlers.endpoint import Respond
from hub.handlers.proven import Signed
from hub.masking import mask
from hub.store.events import EventLog
from hub.store.ports import Bucket, Listener
from hub.wire import keys as wire
from hub.wire import subjects
from hub.wire.codec import Decoder, encode
from hub.wire.roles import parse_caller

log = structlog.get_logger(__name__)


class Revoking:
    """Revokes, and restores.

    Args:
        revocations: What is known of them.
        bucket: Where they are stored.
        listener: Told here at once what was stored, as every replica is by its watch.
        events: Where to tell of changes.
        clock: Where to read the time.
        max_bytes: The largest reply.

    Attributes:
        subjects: What it answers, and how.
    """

    def __init__(
        self,
        revocations: Revocations,
        bucket: Bucket,
        listener: Listener,
        events: EventLog,
        clock: Clock,
        *,
        max_bytes: int,
    ) -> None:
        self._revocations = revocations
        self._bucket = bucket
        self._listener = listener
        self._events = events
        self._clock = clock
        self._max_bytes = max_bytes
        self._decode_revoke = Signed(wire.RevokeAccess)
        self._decode_restore = Signed(wire.RestoreAccess)
        self._decode_list = Decoder(wire.ListRevoked)
        self.subjects: dict[str, Respond] = {
            subjects.ACCESS_REVOKE: self.revoke,
            subjects.ACCESS_RESTORE: self.restore,
            subjects.ACCESS_LIST: self.listed,
        }

    def revoke(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `AccessChanged`, once it is stored."""
        request = self._decode_revoke(payload)
        return self._revoke(*_one_of(request), author=request.author, reason=request.reason)

    def restore(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `AccessChanged`, once it is stored."""
        request = self._decode_restore(payload)
        return self._restore(*_one_of(request), author=request.author, reason=request.reason)

    def listed(self, payload: bytes) -> bytes:
        """The encoded `RevocationList`, as far as this hub has heard."""
        request = self._decode_list(payload)
        shown = [
            wire.Revocation(
                who=record.who, credential=record.credential, at=record.at, author=record.author, reason=record.reason
            )
            for record in self._revocations
            if what(record) > request.after
        ]

        def encoded(kept: list[wire.Revocation], more: bool) -> bytes:
            last = (kept[-1].who or kept[-1].credential) if more else None
            return encode(wire.RevocationList(revoked=tuple(kept), next=last))

        return fitting(shown, encoded, limit=request.limit, max_bytes=self._max_bytes)

    async def store(self, *, who: str | None, credential: str | None, author: str, reason: str) -> int:
        """Revoke a caller or a credential, and return the revision. Raises as the bucket does."""
        now = self._clock.wall()
        record = wire.RevocationRecord(at=now, who=who, credential=credential, author=author, reason=reason)
        key, value = REVOKED + stored_as(who=who, credential=credential), encode(record)
        revision = await self._bucket.put(key, value)
        self._listener.on_put(key, value, revision)
        self._tell("access.revoked", who or credential or "", revision, author, reason)
        return revision

    async def _revoke(self, who: str | None, credential: str | None, *, author: str, reason: str) -> bytes:
        revision = await self.store(who=who, credential=credential, author=author, reason=reason)
        return encode(wire.AccessChanged(who=who, credential=credential, revision=revision))

    async def _restore(self, who: str | None, credential: str | None, *, author: str, reason: str) -> bytes:
        key = REVOKED + stored_as(who=who, credential=credential)
        entry = await self._bucket.get(key)
        if entry is None or entry.value is None:
            field = "who" if who is not None else "credential"
            raise NotFound(f"{field}: {who or credential} is not revoked", field=field)
        revision = await self._bucket.delete(key)
        self._listener.on_delete(key, revision)
        self._tell("access.restored", who or credential or "", revision, author, reason)
        return encode(wire.AccessChanged(who=who, credential=credential, revision=revision))

    def _tell(
        self, change: Literal["access.revoked", "access.restored"], whom: str, revision: int, author: str, reason: str
    ) -> None:
        now = self._clock.wall()
        self._events.append(access_changed(change, whom, revision, now, reason=reason, author=author))
        log.info("access changed", change=change, whom=whom, revision=revision, author=author, reason=reason)


def _one_of(request: wire.RevokeAccess | wire.RestoreAccess) -> tuple[str | None, str | None]:
    """The caller or the credential, as they are written.

    Raises:
        InvalidRequest: it is not one of the two, or nobody is written so.
    """
    if (request.who is None) == (request.credential is None):
        raise InvalidRequest("who: expected either a caller in `who` or a credential in `credential`", field="who")
    if request.who is None:
        return None, _credential(request.credential or "")
    try:
        return str(parse_caller(request.who)), None
    except ValueError as error:
        raise InvalidRequest(f"who: {mask(str(error))}", field="who") from None


def _credential(text: str) -> str:
    kind, colon, rest = text.partition(":")
    if kind not in ("nkey", "jwt", "key", "certificate") or not colon or not rest.strip():
        raise InvalidRequest(
            "credential: expected nkey:<public key>, jwt:<issuer>/<jti or subject>, key:<id> or certificate:<sha256>",
            field="credential",
        )
    if kind == "key" and not rest.isalnum():
        raise InvalidRequest(
            "credential: expected key:<id>, with the ten letters and digits after `hk_`, and never the whole key",
            field="credential",
        )
    return text
