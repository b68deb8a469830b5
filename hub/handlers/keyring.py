"""The keys that secrets are encrypted with: read when the hub starts, and again whenever their file changes."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Final

import structlog

from hub.core.condition import Condition, warning
from hub.errors import StartupError
from hub.settings.model import Secrets
from hub.transport.loops import Beat
from hub.vault import keys, sealing
from hub.vault.keys import KeyRing

log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the file."""

_Stamp = tuple[int, int, int, int]


class Keys:
    """The keys of this hub.

    Args:
        path: The file that has them; None where there is none.
        text: The keys themselves, separated by commas, where there is no file; empty for none.

    Attributes:
        ring: The keys as they were read last.

    Raises:
        StartupError: the file cannot be read or others may read it, or what should be a key is none; names the line.
    """

    def __init__(self, path: Path | None = None, text: str = "") -> None:
        self.path = path
        self._trouble = ""
        self._stamp: _Stamp | None = None
        self._reading = asyncio.Lock()
        if path is not None:
            self._stamp = _stamp(path)
            self.ring = keys.read(path)
        elif text:
            self.ring = keys.parsed(re.split(r"[,\s]+", text), "HUB_SECRETS_KEY")
        else:
            self.ring = KeyRing()
            return
        sealing.load()

    @classmethod
    def of(cls, settings: Secrets) -> Keys:
        """Those that the settings name. Raises as the class does."""
        return cls(Path(settings.key_file) if settings.key_file else None, settings.key or "")

    @property
    def condition(self) -> Condition:
        """How the file is: why it was refused when it was read again, and what that means."""
        return warning(f"{self._trouble} (the keys read before stay in force)" if self._trouble else "")

    async def refresh(self) -> None:
        """Read the file again where it has changed. One that is refused leaves the keys in force that were read."""
        if self.path is None:
            return
        async with self._reading:
            stamp = await asyncio.to_thread(_stamp, self.path)
            if stamp == self._stamp:
                return
            try:
                ring = await asyncio.to_thread(keys.read, self.path)
            except StartupError as error:
                self._trouble = error.message
                log.error("keys of secrets refused; those read before stay in force", reason=error.message)
            else:
                self._trouble = ""
                self.ring = ring
                log.info("keys of secrets read again", keys=ring.ids)
            self._stamp = stamp

    async def watch(self, beat: Beat) -> None:
        """Read the file again whenever it changes, for ever."""
        while True:
            beat()
            await self.refresh()
            await asyncio.sleep(LOOK_EVERY)


def _stamp(path: Path) -> _Stamp | None:
    """What tells that a file has changed; None where it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode
