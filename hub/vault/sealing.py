"""Sealing bytes with a key: AES-256-GCM (NIST SP 800-38D), with a nonce of its own for each sealing.

The library is imported when there is something to seal, or by `load`: it takes 7 MB, and a hub without a key, or a
client that keeps no secrets on disk, has no use for it.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


class Broken(Exception):
    """It was not sealed with this key, not for this, or it was changed since."""


@cache
def load() -> type[AESGCM]:
    """Import the library.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM


def seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    """The bytes, sealed: nonce, ciphertext, tag.

    Args:
        key: 32 bytes. Nonces are random, so that one key is good for some 2**32 sealings.
        plain: What to seal.
        bound: What it belongs to; not in the result, and needed to open it.
    """
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + load()(key).encrypt(nonce, plain, bound)


def unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """What was sealed.

    Raises:
        Broken: with another key, for something else, or changed since.
    """
    cipher = load()(key)
    from cryptography.exceptions import InvalidTag

    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        raise Broken("too short")
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except InvalidTag:
        raise Broken("does not open") from None


def fresh_key() -> bytes:
    """A new random key."""
    return os.urandom(KEY_BYTES)
