"""The secrets of a service on disk, encrypted, to start from when nobody can be asked."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from hub.client.files import write_whole
from hub.errors import InvalidRequest, Unsupported
from hub.vault import sealing
from hub.vault.keys import Key, decoded, key_of
from hub.wire.codec import encode

log = logging.getLogger("hub.client")

FORMAT: Final = 1
_FIELD: Final = "config_cache_key"


class _Copy(Struct, frozen=True, kw_only=True):
    format: int
    service: str
    key_id: str
    sealed: bytes


class SecretCopy:
    """The values of one service's secrets, shared by its instances on this machine.

    A copy appears whole or not at all, and only its owner may read the file. One that is broken, or was encrypted with
    another key, is as good as none.

    Args:
        folder: Where it is; made when there is something to keep.
        service: Whose it is.
        key: 32 bytes, or these in base64.

    Raises:
        InvalidRequest: the key is none.
        Unsupported: the extra `secrets` is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str], service: str, key: str | bytes) -> None:
        self.path = Path(folder) / f"{service}.secrets"
        self._service = service
        self._key = _key(key)
        _check_installed()
        self._kept: dict[str, str] | None = None
        self._writing = asyncio.Lock()

    async def read(self) -> dict[str, str]:
        """What was kept last, by name; nothing where nothing was, or it cannot be trusted."""
        try:
            self._kept = await asyncio.to_thread(self._read)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, msgspec.MsgspecError, sealing.Broken) as error:
            log.warning("%s: ignored, no secrets can be had from it (%s)", self.path, error)
            return {}
        return dict(self._kept)

    async def keep(self, values: dict[str, str]) -> None:
        """Keep these in place of what was kept. Where that fails, the log says so, and nothing else happens."""
        async with self._writing:
            if values == self._kept:
                return
            try:
                await asyncio.to_thread(self._write, values)
            except OSError as error:
                log.warning("%s: the secrets could not be kept (%s)", self.path, error)
            else:
                self._kept = values

    def _read(self) -> dict[str, str]:
        copy = msgspec.json.decode(self.path.read_bytes(), type=_Copy)
        if copy.format != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {copy.format}")
        if copy.key_id != self._key.id:
            raise ValueError(f"it was encrypted with the key {copy.key_id}, {_FIELD} is {self._key.id}")
        plain = sealing.unseal(self._key.secret, copy.sealed, self._bound)
        return msgspec.json.decode(plain, type=dict[str, str])

    def _write(self, values: dict[str, str]) -> None:
        sealed = sealing.seal(self._key.secret, encode(values), self._bound)
        copy = _Copy(format=FORMAT, service=self._service, key_id=self._key.id, sealed=sealed)
        write_whole(self.path, encode(copy))

    @property
    def _bound(self) -> bytes:
        return encode(("central-hub kept secrets 1", self._service))


def _key(key: str | bytes) -> Key:
    try:
        if isinstance(key, bytes) and len(key) == 32:
            return key_of(key)
        return key_of(decoded(key if isinstance(key, str) else key.decode("ascii")))
    except ValueError as error:
        words = str(error) if not isinstance(error, UnicodeDecodeError) else "expected 32 bytes, or these in base64"
        raise InvalidRequest(f"{_FIELD}: {words}", field=_FIELD) from None


def _check_installed() -> None:
    try:
        sealing.load()
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"{_FIELD}: to encrypt needs the extra `secrets`, of which {error.name} is missing: "
            "pip install 'central-hub[secrets]'",
            field=_FIELD,
        ) from None
