"""The limits in the file of the hub's settings: applied when they change, without a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import structlog
from msgspec.structs import replace

from hub.core.condition import Condition, warning
from hub.errors import SettingsError
from hub.handlers.ratelimiting import RateLimits
from hub.settings import Settings, load
from hub.settings.model import Ratelimits
from hub.store.files import content
from hub.transport.loops import Beat

log = structlog.get_logger(__name__)

SECTION: Final = "ratelimits"
_ROUND: Final = 1.0
"""Seconds between two looks."""
_TOLD_EVERY: Final = 10
"""Rounds after which it is logged who was refused."""


class LimitsFile:
    """Reads the section again and again. Every hub reads its own file, as it did when it started.

    What the environment or the command line has set stays as it is, since that goes before the file. A file that is
    broken, or gone, leaves in force what it said before.

    Args:
        path: The file.
        settings: What the hub was started with.
        limits: What is to go by it.
        watch: Whether to read it at all.
    """

    def __init__(self, path: Path, settings: Settings, limits: RateLimits, *, watch: bool) -> None:
        self._path = path
        self._settings = settings
        self._limits = limits
        self._watch = watch
        self._digest: str | None = None
        self._broken = ""
        self._current = settings.ratelimits

    @property
    def condition(self) -> Condition:
        """Whether the file is broken, where, and why."""
        return warning(f"{self._broken} (the rate limits of before stay in force)" if self._broken else "")

    async def run(self, beat: Beat) -> None:
        """Follow the file, and say now and then who was refused, for ever."""
        rounds = 0
        while True:
            beat()
            await asyncio.sleep(_ROUND)
            if self._watch:
                await self.look()
            self._limits.refresh()
            rounds += 1
            if rounds % _TOLD_EVERY == 0:
                self._limits.tell()

    async def look(self) -> None:
        """Apply what the file says now."""
        found = await asyncio.to_thread(content, self._path)
        if found is None or (found.digest is not None and found.digest == self._digest):
            return
        self._digest = found.digest
        if found.broken:
            self._refuse(found.broken)
            return
        try:
            said = await asyncio.to_thread(self._read)
        except SettingsError as error:
            self._refuse(error.message)
        else:
            self._apply(said)

    def _read(self) -> Ratelimits:
        said = load(self._path, {}).ratelimits
        of_file = ("default", self._settings.file)
        kept = {
            name: getattr(self._settings.ratelimits, name)
            for name in Ratelimits.__struct_fields__
            if self._settings.origin(f"{SECTION}.{name}") not in of_file
        }
        return replace(said, **kept)

    def _refuse(self, reason: str) -> None:
        if reason != self._broken:
            log.error("settings file refused; the rate limits of before stay in force", reason=reason)
        self._broken = reason

    def _apply(self, said: Ratelimits) -> None:
        self._broken = ""
        if said != self._current:
            log.info("rate limits changed", **_differences(self._current, said))
            self._current = said
            self._limits.use(said)


def _differences(before: Ratelimits, now: Ratelimits) -> dict[str, object]:
    names = Ratelimits.__struct_fields__
    return {name: getattr(now, name) for name in names if getattr(now, name) != getattr(before, name)}
