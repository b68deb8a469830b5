"""API keys: `hk_<id>_<secret>`, how they are made, read and verified.

The id is ten letters and digits, by which a key is known and which may be shown. The secret is 32 random bytes. What is
stored of it is its SHA-256: a slow hash, as passwords need it, would protect nothing here, since nobody can try even a
notable part of 2^256 secrets, however fast each try is; and it would cost every login its time.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple

from hub.errors import Unauthenticated, Unavailable
from hub.identity.proof import Presented, Proof
from hub.wire.keys import KeyRecord
from hub.wire.roles import parse_caller

PREFIX: Final = "hk_"
ID_LENGTH: Final = 10
SECRET_BYTES: Final = 32
_ALPHABET: Final = string.ascii_letters + string.digits
_KEY: Final = re.compile(r"hk_([0-9A-Za-z]{10})_([0-9A-Za-z_-]{43})")
_NOBODY: Final = sha256(b"").digest()
"""What is compared with where there is no such key; no secret of 43 characters has it."""


class Minted(NamedTuple):
    """A key that was just made.

    Attributes:
        id: What it is known by.
        text: The whole key, to be told once.
        digest: What is stored of its secret.
    """

    id: str
    text: str
    digest: bytes

    def __repr__(self) -> str:
        return f"Minted(id={self.id!r})"


def mint() -> Minted:
    """A new key."""
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
    secret = urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
    return Minted(key_id, f"{PREFIX}{key_id}_{secret}", digest(secret))


def digest(secret: str) -> bytes:
    """What is stored of a secret."""
    return sha256(secret.encode()).digest()


def parse(text: str) -> tuple[str, str] | None:
    """The id and the secret of a key; None where the text is none."""
    found = _KEY.fullmatch(text)
    return None if found is None else (found[1], found[2])


def matches(record: KeyRecord | None, secret: str) -> bool:
    """Whether it is the secret of this key. It takes as long for a key that does not exist as for one that does."""
    expected = _NOBODY if record is None else record.digest
    return hmac.compare_digest(expected, digest(secret)) and record is not None


def credential(key_id: str) -> str:
    """By which name a key is revoked."""
    return f"key:{key_id}"


class ApiKeyVerifier:
    """Knows API keys.

    Args:
        lookup: What is stored of a key, by its id.
        complete: Whether all that is stored is known.
        used: Told of every key that proved somebody, and when, in seconds since the epoch.
    """

    def __init__(
        self,
        lookup: Callable[[str], KeyRecord | None],
        complete: Callable[[], bool],
        used: Callable[[str, float], None],
    ) -> None:
        self._lookup = lookup
        self._complete = complete
        self._used = used

    async def verify(self, presented: Presented, now: float) -> Proof | None:
        """See `Verifier`."""
        if presented.token is None or not presented.token.startswith(PREFIX):
            return None
        parts = parse(presented.token)
        if parts is None:
            raise Unauthenticated("key: expected hk_<id of 10>_<secret of 43 characters>")
        key_id, secret = parts
        record = self._lookup(key_id)
        if not matches(record, secret):
            if record is None and not self._complete():
                raise Unavailable("keys: this hub does not know them yet; try again")
            raise Unauthenticated(f"{credential(key_id)}: {'unknown' if record is None else 'not its secret'}")
        assert record is not None
        expires = None if record.expires is None else record.expires.timestamp()
        if expires is not None and expires <= now:
            raise Unauthenticated(f"{credential(key_id)}: expired")
        try:
            caller = parse_caller(f"{record.role}:{record.name}", host=presented.host)
        except ValueError as error:
            raise Unauthenticated(f"{credential(key_id)}: what is stored names nobody: {error}") from None
        self._used(key_id, now)
        return Proof(caller=caller, credential=credential(key_id), expires=expires, scopes=record.scopes)
