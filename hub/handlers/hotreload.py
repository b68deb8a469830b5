"""Configuration from files: what `config/hot-reload/<scope>.toml` says is stored as a layer of its scope."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from hub.core.condition import Condition, warning
from hub.core.configs import Configs
from hub.core.drafts import Draft
from hub.errors import HubError, InvalidConfig
from hub.handlers.config import Configuration
from hub.store.files import Reading, changes, read
from hub.store.lease import LeaderLease
from hub.transport.loops import Beat
from hub.wire.codec import Decoder, encode
from hub.wire.config import (
    FileOutcome,
    ReloadConfig,
    Reloaded,
)

log = structlog.get_logger(__name__)

_WAIT: Final = 1.0
"""Seconds between two looks for a folder that is not there, and for the lease."""
_AGAIN: Final = 30.0
"""Seconds after which the files are read in any case: some file systems tell of no changes."""


class _Wish(NamedTuple):
    author: str = "files"
    reason: str = "the file has changed"
    dry_run: bool = False


class HotReload:
    """Stores what the files say. One that is broken leaves in force what it said before.

    Only the leader watches: that all replicas have the same files is for whoever runs them to see to.

    Args:
        folder: Where the files are.
        configs: What is known.
        configuration: What stores.
        lease: Only its holder applies what changes.
        watch: Whether to watch at all; otherwise files are read on `hub.config.reload` alone.
    """

    def __init__(
        self, folder: Path, configs: Configs, configuration: Configuration, lease: LeaderLease, *, watch: bool
    ) -> None:
        self._folder = folder
        self._configs = configs
        self._configuration = configuration
        self._lease = lease
        self._watch = watch
        self._decode = Decoder(ReloadConfig)
        self._broken: dict[str, str] = {}
        self._applying = asyncio.Lock()

    @property
    def condition(self) -> Condition:
        """How the files are: which are broken, and why."""
        return warning("; ".join(f"{reason} (what it said before stays in force)" for reason in self._broken.values()))

    @property
    def broken(self) -> int:
        """How many files are refused."""
        return len(self._broken)

    async def run(self, beat: Beat) -> None:
        """Apply what the files say, and whatever they come to say, for ever."""
        while True:
            beat()
            if not (self._watch and self._lease.held and await asyncio.to_thread(self._folder.is_dir)):
                await asyncio.sleep(_WAIT)
                continue
            await self._follow(beat)

    def reload(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `Reloaded`, once what the files say is stored."""
        self._decode(payload)
        return self._reload()

    async def _reload(self) -> bytes:
        return encode(Reloaded(files=await self._apply()))

    async def _follow(self, beat: Beat) -> None:
        """Follow the folder for as long as this hub leads and it is there."""
        loop = asyncio.get_running_loop()
        await self._apply()
        again = loop.time() + _AGAIN
        try:
            async for changed in changes(self._folder):
                beat()
                if not self._lease.held:
                    return
                if changed or loop.time() >= again:
                    await self._apply()
                    again = loop.time() + _AGAIN
        except FileNotFoundError:
            log.warning(
                "folder of configuration files is gone; what they said stays in force", folder=str(self._folder)
            )

    async def _apply(self) -> tuple[FileOutcome, ...]:
        async with self._applying:
            reading = await asyncio.to_thread(read, self._folder)
            if reading is None:
                return ()
            drafts = self._drafts(reading)
            refused = await self._store(drafts)
            self._tell({**reading.broken, **refused})
            changed = {draft.scope for draft in drafts}
            return tuple(
                FileOutcome(
                    service=scope,
                    outcome="refused" if scope in self._broken else "applied" if scope in changed else "unchanged",
                    reason=self._broken.get(scope, ""),
                )
                for scope in sorted({*reading.values, *self._broken, *changed})
            )

    def _drafts(self, reading: Reading) -> list[Draft]:
        """What the files say that is not stored; a file that is gone says nothing any more."""
        said = {scope: record.file for scope, record in self._configs.records() if record.file}
        wanted: dict[str, dict[str, Any]] = {**{scope: {} for scope in said}, **reading.values}
        return [
            Draft(scope, file=values)
            for scope, values in sorted(wanted.items())
            if scope not in reading.broken and said.get(scope, {}) != values
        ]

    async def _store(self, drafts: list[Draft]) -> dict[str, str]:
        """Store all at once, or, where that is not valid, each that is. Returns why those are refused that are not."""
        if not drafts:
            return {}
        try:
            await self._configuration.take_files(drafts, _Wish())
            return {}
        except InvalidConfig as error:
            if len(drafts) == 1:
                return {drafts[0].scope: f"{self._path(drafts[0].scope)}: {error.message}"}
        except HubError as error:
            return {draft.scope: f"{self._path(draft.scope)}: {error.message}" for draft in drafts}
        refused: dict[str, str] = {}
        for draft in drafts:
            refused |= await self._store([draft])
        return refused

    def _path(self, scope: str) -> Path:
        return self._folder / f"{scope}.toml"

    def _tell(self, broken: dict[str, str]) -> None:
        for scope, reason in broken.items():
            if self._broken.get(scope) != reason:
                log.error("configuration file refused; what it said before stays in force", scope=scope, reason=reason)
        for scope in self._broken.keys() - broken.keys():
            log.info("configuration file is well again", scope=scope)
        self._broken = broken
