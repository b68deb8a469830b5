"""Keys for secrets, and for logging in, in tests."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import nkeys  # type: ignore[import-untyped]


def fresh_key() -> str:
    """A key as `hub secret keygen` prints it."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def key_file(path: Path, *keys: str) -> Path:
    """A file with these keys, or with a fresh one, for its owner alone."""
    path.touch(mode=0o600)
    path.write_text("".join(f"{key}\n" for key in keys or (fresh_key(),)))
    return path


def nkey_pair() -> tuple[str, str]:
    """The seed of a user's nkey, and the public key of it."""
    seed: bytes = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode(), nkeys.from_seed(bytearray(seed)).public_key.decode()
