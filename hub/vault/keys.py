"""The keys that secrets are encrypted with: read from a file or a text, one a line, the first the current one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from hub.errors import StartupError

KEY_BYTES: Final = 32
_ID_BYTES: Final = 6
_LARGEST: Final = 64 * 1024
_MODES: Final = (0o600, 0o400)


class Key(NamedTuple):
    """One key, and the id by which it can be told without being shown."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.id})"


class KeyRing:
    """Keys that decrypt. The first is the current one, which encrypts; a ring may be empty."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys: dict[str, Key] = {}
        for key in keys:
            self._keys.setdefault(key.id, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._keys

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all, the current one first."""
        return tuple(self._keys)

    @property
    def current(self) -> Key | None:
        """The key that encrypts; None where there is none."""
        return next(iter(self._keys.values()), None)

    def get(self, key_id: str) -> Key | None:
        """The key of that id."""
        return self._keys.get(key_id)


def decoded(text: str) -> bytes:
    """The 32 bytes of a key in base64, plain or URL-safe, padded or not.

    Raises:
        ValueError: it is none; says what is wrong, and shows nothing of it.
    """
    bare = text.strip().rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        key = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"expected {KEY_BYTES} bytes in base64, got something else") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"expected {KEY_BYTES} bytes in base64, got {len(key)}")
    return key


def encoded(key: bytes) -> str:
    """A key as a line of a file has it."""
    return base64.urlsafe_b64encode(key).decode()


def key_of(secret: bytes) -> Key:
    """The key with its id: the first bytes of a hash, from which nothing follows for the key."""
    return Key(hashlib.sha256(b"central-hub key\x00" + secret).hexdigest()[: 2 * _ID_BYTES], secret)


def parsed(lines: Iterable[str], place: str) -> KeyRing:
    """The keys in these lines; empty ones and those that begin with `#` are none.

    Args:
        lines: One key each.
        place: What they are lines of, for errors.

    Raises:
        StartupError: a line is no key, or none is; names the line.
    """
    found: list[Key] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            found.append(key_of(decoded(line)))
        except ValueError as error:
            raise StartupError(f"{place}:{number}: {error}; `hub secret keygen` prints a key") from None
    if not found:
        raise StartupError(f"{place}: expected a key, found none; `hub secret keygen` prints one")
    return KeyRing(found)


def read(path: Path) -> KeyRing:
    """The keys in a file that its owner alone may read. Blocks.

    Raises:
        StartupError: it cannot be read, others may read it too, or a line is no key.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise StartupError(f"secrets.key_file: {path}: cannot be read ({error.strerror})") from None
    if mode not in _MODES:
        raise StartupError(
            f"secrets.key_file: {path}: expected mode 0600 or 0400, got {mode:04o}: others may read the keys; "
            f"`chmod 600 {path}`"
        )
    if len(data) > _LARGEST:
        raise StartupError(f"secrets.key_file: {path}: expected at most {_LARGEST} bytes")
    return parsed(data.decode("utf-8", errors="replace").splitlines(), f"secrets.key_file: {path}")
