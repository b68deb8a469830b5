"""Nkeys: the Ed25519 keys by which NATS knows servers, accounts and users, each written so that one sees what it is of.

The one file that knows how they are written. A seed is a secret and is never shown.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Final, Literal

import nkeys  # type: ignore[import-untyped]
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Kind = Literal["account", "server", "user"]

_PREFIXES: Final[dict[Kind, int]] = {
    "account": nkeys.PREFIX_BYTE_ACCOUNT,
    "server": nkeys.PREFIX_BYTE_SERVER,
    "user": nkeys.PREFIX_BYTE_USER,
}
_LENGTH: Final = 56
"""Characters of a public key."""


class Nkey:
    """A key pair. Its representation shows the public half.

    Args:
        seed: As text, `S...`.

    Raises:
        ValueError: it is none. The message does not repeat it.
    """

    def __init__(self, seed: str) -> None:
        try:
            self._pair = nkeys.from_seed(seed.encode("ascii"))
            self.public: str = self._pair.public_key.decode()
        except (nkeys.NkeysError, ValueError):
            raise ValueError("expected the seed of an nkey: S and 57 of A-Z and 2-7") from None
        self.seed = seed

    @classmethod
    def fresh(cls, kind: Kind) -> Nkey:
        """A new one."""
        return cls(nkeys.encode_seed(secrets.token_bytes(32), _PREFIXES[kind]).decode())

    def sign(self, message: bytes) -> bytes:
        """Its signature of the message, 64 bytes."""
        return bytes(self._pair.sign(message))

    def __repr__(self) -> str:
        return f"Nkey({self.public})"


def is_public(text: str, kind: Kind) -> bool:
    """Whether this is the public half of an nkey of that kind."""
    raw = _raw(text)
    return raw is not None and raw[0] == _PREFIXES[kind]


def verify(public: str, message: bytes, signature: bytes) -> bool:
    """Whether the signature of the message was made with the other half of this key."""
    raw = _raw(public)
    if raw is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(raw[1:]).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _raw(public: str) -> bytes | None:
    """The byte that says of what kind the key is, and its 32; None where it is no key, or one with a slip in it."""
    if len(public) != _LENGTH:
        return None
    try:
        decoded = base64.b32decode(public)
    except (binascii.Error, ValueError):
        return None
    body, checksum = decoded[:-2], decoded[-2:]
    return body if nkeys.crc16(body).to_bytes(2, "little") == checksum else None
