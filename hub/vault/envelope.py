"""Envelopes: each value is sealed with a key of its own, and that key with the current one of the hub.

Both are bound to the secret that they belong to, so that what was taken from one record opens in no other: to its name,
to its version, and to who may read it. Who can write to the bucket can neither swap values nor let others read them.
"""

from __future__ import annotations

import msgspec

from hub.errors import HubError, Unavailable, Unsupported
from hub.vault import sealing
from hub.vault.keys import Key, KeyRing
from hub.wire.secrets import Sealed, SecretRecord

NO_KEY = (
    "secrets: this hub has no key to encrypt with. `hub secret keygen > FILE; chmod 600 FILE` makes one; name FILE as "
    "secrets.key_file (HUB_SECRETS_KEY_FILE) for every hub, and start them again"
)


class UnknownKey(Unavailable):
    """It is encrypted with a key that this hub does not have; another hub may have it, and so may this one, later."""


class Tampered(HubError):
    """What is stored is not what was encrypted for this secret."""


def seal(ring: KeyRing, record: SecretRecord, value: str) -> SecretRecord:
    """The record with this value in it, under the current key.

    Raises:
        Unsupported: there is no key; the message says what to do.
    """
    key = current(ring)
    own = sealing.fresh_key()
    sealed = Sealed(
        key_id=key.id,
        wrapped=sealing.seal(key.secret, own, _bound(record, "key")),
        ciphertext=sealing.seal(own, value.encode(), _bound(record, "value")),
    )
    return msgspec.structs.replace(record, sealed=sealed)


def unseal(ring: KeyRing, record: SecretRecord) -> str:
    """The value in a record.

    Raises:
        UnknownKey: the ring does not have its key.
        Tampered: it does not open.
    """
    key = ring.get(record.sealed.key_id)
    if key is None:
        raise UnknownKey(
            f"secret {record.name}: is encrypted with the key {record.sealed.key_id}, which this hub does not have "
            f"(it has {', '.join(ring.ids) or 'none'}); add it to secrets.key_file"
        )
    try:
        own = sealing.unseal(key.secret, record.sealed.wrapped, _bound(record, "key"))
        return sealing.unseal(own, record.sealed.ciphertext, _bound(record, "value")).decode()
    except (sealing.Broken, ValueError):
        raise Tampered(
            f"secret {record.name}: what is stored was not encrypted for it, or was changed since; put it again"
        ) from None


def current(ring: KeyRing) -> Key:
    """The key that encrypts.

    Raises:
        Unsupported: there is none; the message says what to do.
    """
    if ring.current is None:
        raise Unsupported(NO_KEY)
    return ring.current


def _bound(record: SecretRecord, part: str) -> bytes:
    return msgspec.json.encode(("central-hub secret 1", part, record.name, record.version, record.readers))
