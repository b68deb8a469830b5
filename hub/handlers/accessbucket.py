"""What the watch of the bucket `hub-access` tells: API keys, their uses, and revocations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from hub.core.apikeys import ApiKeys
from hub.core.revocations import Revocations
from hub.wire.keys import KeyRecord, KeyUse, RevocationRecord

log = structlog.get_logger(__name__)

KEY: Final = "key."
USED: Final = "used."
REVOKED: Final = "revoked."


class AccessListener:
    """Learns them.

    Args:
        keys: Where keys go.
        revocations: Where revocations go.
        revoked: Called when somebody is let in no more, or it may be so.
        ends: Told when a key ends that was made to end, in seconds since the epoch.
    """

    def __init__(
        self, keys: ApiKeys, revocations: Revocations, revoked: Callable[[], None], ends: Callable[[float], None]
    ) -> None:
        self._keys = keys
        self._revocations = revocations
        self._revoked = revoked
        self._ends = ends
        self._decode_key = msgspec.json.Decoder(KeyRecord).decode
        self._decode_use = msgspec.json.Decoder(KeyUse).decode
        self._decode_revocation = msgspec.json.Decoder(RevocationRecord).decode

    def on_put(self, key: str, value: bytes, revision: int) -> None:
        """Something was stored."""
        kind, _, rest = key.partition(".")
        try:
            if kind == "key":
                self._on_key(rest, self._decode_key(value), revision)
            elif kind == "used":
                self._keys.use_stored(rest, self._decode_use(value).at.timestamp())
            elif kind == "revoked":
                if self._revocations.learn(rest, self._decode_revocation(value), revision):
                    self._revoked()
            else:
                log.error("unknown kind of access record; it is left alone", key=key, revision=revision)
        except msgspec.MsgspecError as error:
            log.error("access record not understood; it is left alone", key=key, revision=revision, reason=str(error))

    def on_delete(self, key: str, revision: int) -> None:
        """Something is gone."""
        kind, _, rest = key.partition(".")
        if kind == "key":
            self._keys.forget(rest, revision)
            self._revoked()
        elif kind == "revoked":
            self._revocations.forget(rest, revision)

    def on_reset(self) -> None:
        """The bucket was recreated."""
        log.warning("API keys and revocations were recreated; what was stored before is lost")
        self._keys.reset()
        self._revocations.reset()

    def on_synced(self, revision: int) -> None:
        """All that is stored is known."""
        if not self._keys.complete:
            self._keys.complete = True
            self._revoked()

    def on_lost(self, reason: str) -> None:
        """What is stored may lag behind."""
        log.warning("API keys and revocations may lag behind; reading them again", reason=reason)

    def _on_key(self, key_id: str, record: KeyRecord, revision: int) -> None:
        if record.id != key_id:
            log.error("key stored under another id; it is left alone", id=key_id, revision=revision)
            return
        self._keys.learn(record, revision)
        if record.expires is not None and record.replaced_by is not None:  # connections know how it was before
            self._ends(record.expires.timestamp())
