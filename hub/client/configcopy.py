"""The last good configuration of a service on disk, to start from when nobody can be asked."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct

from hub.client.files import write_whole
from hub.client.layered import Layered
from hub.wire.codec import encode

log = logging.getLogger("hub.client")

FORMAT: Final = 1


class _Copy(Struct, frozen=True, kw_only=True):
    format: int
    service: str
    sha256: str
    """Of the bytes of `stored`."""
    stored: Raw


class ConfigCopy:
    """The copy of one service's configuration, shared by its instances on this machine.

    A copy appears whole or not at all, and only its owner may read it. One that is broken is as good as none.

    Args:
        folder: Where it is; made when there is something to keep.
        service: Whose it is.
    """

    def __init__(self, folder: str | os.PathLike[str], service: str) -> None:
        self.path = Path(folder) / f"{service}.json"
        self._service = service
        self._kept: Layered | None = None
        self._writing = asyncio.Lock()

    async def read(self) -> Layered | None:
        """What was kept last; None where nothing was, or it cannot be trusted."""
        try:
            self._kept = await asyncio.to_thread(self._read)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            log.warning("%s: ignored, it is no copy of a configuration (%s)", self.path, error)
            return None
        return self._kept

    async def keep(self, layered: Layered) -> None:
        """Keep this in place of what was kept. Where that fails, the log says so, and nothing else happens."""
        async with self._writing:
            if layered == self._kept:
                return
            try:
                await asyncio.to_thread(self._write, layered)
            except OSError as error:
                log.warning("%s: the configuration could not be kept (%s)", self.path, error)
            else:
                self._kept = layered

    def _read(self) -> Layered:
        copy = msgspec.json.decode(self.path.read_bytes(), type=_Copy)
        if copy.format != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {copy.format}")
        if copy.service != self._service:
            raise ValueError(f"expected the service {self._service}, got {copy.service!r}")
        if hashlib.sha256(bytes(copy.stored)).hexdigest() != copy.sha256:
            raise ValueError("its checksum does not match")
        return msgspec.json.decode(copy.stored, type=Layered)

    def _write(self, layered: Layered) -> None:
        stored = encode(layered)
        checksum = hashlib.sha256(stored).hexdigest()
        content = encode(_Copy(format=FORMAT, service=self._service, sha256=checksum, stored=Raw(stored)))
        write_whole(self.path, content)
