"""The keys by which identities are proven: files in one folder, made once, that nobody but the hub's user reads."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

from hub.core.accounts import PublicKeys
from hub.errors import StartupError
from hub.identity.nkey import Kind, Nkey, is_public

ISSUER: Final = "issuer.nk"
HUB: Final = "hub.nk"
SYSTEM: Final = "system.nk"
OPERATOR: Final = "operator.nk"
OPERATOR_PUBLIC: Final = "operator.pub"
"""What the hub knows the first operator by; the seed beside it may be taken away, and should be."""
FIRST_OPERATOR: Final = "first"
"""How that operator is called."""

_SEEDS: Final[dict[str, Kind]] = {ISSUER: "account", HUB: "user", SYSTEM: "user"}
_LONGEST: Final = 1024


class AccessKeys(NamedTuple):
    """The keys of a hub.

    Attributes:
        issuer: Of the account that signs who is let in.
        hub: By which hubs log in.
        system: By which they log in to the system account.
        operator: The public nkey of the first operator; None where there is none (any more).
    """

    issuer: Nkey
    hub: Nkey
    system: Nkey
    operator: str | None

    @property
    def public(self) -> PublicKeys:
        """What the servers are told of them."""
        return PublicKeys(self.issuer.public, self.hub.public, self.system.public)


def exist(folder: Path) -> bool:
    """Whether there is any of the files."""
    return any(os.path.lexists(folder / name) for name in (*_SEEDS, OPERATOR, OPERATOR_PUBLIC))


def make(folder: Path) -> AccessKeys:
    """Make fresh ones.

    Raises:
        StartupError: there are some, or the folder cannot be written.
    """
    if exist(folder):
        raise StartupError(
            f"{folder}: there are keys already, and others are let in by them: nothing is replaced. "
            "Take them away first, or name another folder"
        )
    keys = {name: Nkey.fresh(kind) for name, kind in _SEEDS.items()}
    operator = Nkey.fresh("user")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        for name, key in keys.items():
            _write(folder / name, key.seed)
        _write(folder / OPERATOR, operator.seed)
        _write(folder / OPERATOR_PUBLIC, operator.public)
    except OSError as error:
        raise StartupError(
            f"{folder}: the keys cannot be written there ({error.strerror}): make it writable, or name another folder "
            "with access.keys (HUB_ACCESS_KEYS)"
        ) from None
    return AccessKeys(keys[ISSUER], keys[HUB], keys[SYSTEM], operator.public)


def read(folder: Path) -> AccessKeys:
    """The keys in that folder.

    Raises:
        StartupError: one is missing, is none, or can be read by others; names the file, and says what to do.
    """
    keys = {name: _seed(folder / name, kind) for name, kind in _SEEDS.items()}
    return AccessKeys(keys[ISSUER], keys[HUB], keys[SYSTEM], _operator(folder / OPERATOR_PUBLIC))


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(f"{text}\n")


def _seed(path: Path, kind: Kind) -> Nkey:
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_LONGEST).strip()
    except FileNotFoundError:
        raise StartupError(
            f"{path}: no such key, and identities are to be proven: `hub access init` makes the keys, and access.keys "
            "(HUB_ACCESS_KEYS) names their folder, the same for all hubs of one NATS"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise StartupError(f"{path}: the key cannot be read ({reason})") from None
    if mode & 0o077:
        raise StartupError(f"{path}: others than its owner may use this key (mode {mode:04o}): `chmod 600 {path}`")
    try:
        key = Nkey(text)
    except ValueError as error:
        raise StartupError(f"{path}: {error}") from None
    if not is_public(key.public, kind):
        raise StartupError(f"{path}: expected the seed of an nkey of kind {kind}, this is of another")
    return key


def _operator(path: Path) -> str | None:
    try:
        public = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise StartupError(f"{path}: the public key of the first operator cannot be read") from None
    if not is_public(public, "user"):
        raise StartupError(f"{path}: expected the public nkey of a user, U and 55 of A-Z and 2-7")
    return public
