"""Files that only a start reads: said when they have changed since. Nothing here applies what they say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import structlog

from hub.core.condition import WELL, Condition
from hub.core.restart import Content, RestartNeeded
from hub.errors import SettingsError
from hub.handlers.clock import Clock
from hub.settings import load
from hub.store.files import content, contents
from hub.transport.loops import Beat

log = structlog.get_logger(__name__)

_LOOK_EVERY: Final = 2.0
"""Seconds. The files are read, and not only asked for the time of their change: what counts is what they hold."""


class StaticFiles:
    """Looks at the files. Every hub looks at its own, whether it leads or not.

    Args:
        folder: Where they are, `*.toml`.
        settings_file: Where the hub's own settings are, or would be.
        clock: Where to read the time.
        applied: The section of the settings that somebody else applies without a restart; empty for none.
    """

    def __init__(self, folder: Path, settings_file: Path, clock: Clock, *, applied: str = "") -> None:
        self._folder = folder
        self._settings_file = settings_file
        self._applied = applied
        self._clock = clock
        self._restart: RestartNeeded | None = None

    @property
    def condition(self) -> Condition:
        """Whether a restart is needed, and which files are broken."""
        return self._restart.condition if self._restart is not None else WELL

    @property
    def restart_needed(self) -> bool:
        """Whether a file is not what it was at the start."""
        return self._restart is not None and self._restart.needed

    async def start(self) -> None:
        """Take what the files hold now as what the hub has started with."""
        found = await asyncio.to_thread(self._read)
        self._restart = restart = RestartNeeded(found)
        static = [path for path in found if path != str(self._settings_file)]
        if static:
            log.info("static files found; this hub says when they change, and does not apply them", files=static)
        for reason in restart.broken:
            log.warning("static file broken", reason=reason)

    async def run(self, beat: Beat) -> None:
        """Look again and again, for ever."""
        while True:
            beat()
            await asyncio.sleep(_LOOK_EVERY)
            found = await asyncio.to_thread(self._read)
            if self._restart is not None:
                for news in self._restart.look(found, self._clock.wall()):
                    log.warning("static files", news=news)

    def _read(self) -> dict[str, Content]:
        found = contents(self._folder)
        own = content(self._settings_file, without=self._applied)
        if own is not None:
            found[str(self._settings_file)] = own._replace(broken=self._refusal())
        return found

    def _refusal(self) -> str:
        """Why the hub would not start with the file of its settings; empty where it would."""
        try:
            load(self._settings_file, {})
        except SettingsError as error:
            return f"{error.message} (the hub would not start with this)"
        return ""
