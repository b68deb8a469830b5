"""Components from a folder: what it has is published, when it is still and nothing in it is refused."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from hub.core.components import encoded_tree, says_nothing_new
from hub.core.condition import Condition, warning
from hub.errors import HubError
from hub.handlers.components import Components
from hub.store.files import changes
from hub.store.folder import Folder, Scan, Stamp, Unsettled
from hub.store.lease import LeaderLease
from hub.store.objects import ObjectStore
from hub.store.publication import upload
from hub.transport.loops import Beat, beating

log = structlog.get_logger(__name__)

_WAIT: Final = 1.0
"""Seconds between two looks for a folder that is not there, and for the lease."""
_AGAIN: Final = 30.0
"""Seconds after which the folder is looked at in any case: some file systems tell of no changes."""
_SOON: Final = 2.0
"""The same after a failure."""
_WATCHED: Final = 1000
"""Folders in it that are watched; what changes in others is found by looking at all of it."""
_RESTLESS: Final = 10.0
"""Seconds in which a folder comes to rest, or it is told that it does not."""
_SHOWN: Final = 10
_KEPT: Final = "the version before stays the newest"


class ComponentFolder:
    """Publishes what a folder has. While something in it is refused, nothing is published.

    Only the leader watches: that all replicas have the same files is for whoever runs them to see to. What the folder
    says is told once: a version that operators publish, or go back to, stays until the folder says something else.

    Args:
        folder: Where the files are.
        components: What publishes.
        objects: Where their contents go.
        lease: Only its holder publishes what changes.
        watch: Whether to watch at all.
        settle: Seconds that nothing must have changed for.
    """

    def __init__(
        self,
        folder: Folder,
        components: Components,
        objects: ObjectStore,
        lease: LeaderLease,
        *,
        watch: bool,
        settle: float,
    ) -> None:
        self._folder = folder
        self._components = components
        self._objects = objects
        self._lease = lease
        self._watch = watch
        self._settle = settle
        self._refused: dict[str, str] = {}
        self._trouble = ""

    @property
    def condition(self) -> Condition:
        """How the folder is: what is refused, and why; or what else keeps it from being published."""
        found = [f"{self._folder.path}/{path}: {reason}" for path, reason in list(self._refused.items())[:_SHOWN]]
        if len(self._refused) > _SHOWN:
            found.append(f"and {len(self._refused) - _SHOWN} more")
        found += [self._trouble] if self._trouble else []
        return warning(f"components: {'; '.join(found)} ({_KEPT})" if found else "")

    @property
    def refused(self) -> int:
        """How many files are refused."""
        return len(self._refused)

    async def run(self, beat: Beat) -> None:
        """Publish what the folder has, and whatever it comes to have, for ever."""
        while True:
            beat()
            if not (self._watch and self._lease.held and await asyncio.to_thread(self._folder.is_there)):
                self._refused, self._trouble = {}, ""
                await asyncio.sleep(_WAIT)
                continue
            await self._follow(beat)

    async def _follow(self, beat: Beat) -> None:
        """Follow the folder for as long as this hub leads and it is there."""
        while self._lease.held and await asyncio.to_thread(self._folder.is_there):
            beat()
            try:
                await self._follow_these(await self._folders(beat), beat)
            except FileNotFoundError:  # one of them is gone
                await asyncio.sleep(self._settle)
            except OSError as error:  # as many are watched as the system takes, or it tells of no changes at all
                await self._look_now_and_then(str(error), beat)
        if self._lease.held:
            log.warning("folder of components is gone; the newest version stays", folder=str(self._folder.path))

    async def _look_now_and_then(self, reason: str, beat: Beat) -> None:
        """Look once, and wait a while."""
        with suppress(FileNotFoundError):
            await self.look(beat)
        self._tell(self._refused, f"{self._folder.path}: cannot be watched, and is looked at now and then ({reason})")
        await asyncio.sleep(_SOON)

    async def _follow_these(self, within: list[str], beat: Beat) -> None:
        """Follow these folders in it, until there are others.

        Raises:
            OSError: one of them cannot be watched.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        paths = [self._folder.path / path for path in within[:_WATCHED]]
        async for changed in changes(self._folder.path, *paths, everything=True):
            beat()
            if not self._lease.held:
                return
            if changed or loop.time() >= due:
                well = await self.look(beat)
                due = loop.time() + (_AGAIN if well else _SOON)
                if await self._folders(beat) != within:
                    return

    async def _folders(self, beat: Beat) -> list[str]:
        return sorted((await beating(asyncio.to_thread(self._folder.look), beat)).folders)

    async def look(self, beat: Beat) -> bool:
        """Publish what the folder has now, once it is still; returns whether there is nothing left to do.

        Raises:
            FileNotFoundError: the folder is not there any more.
        """
        scan = await self._still(beat)
        if scan is None:
            return False
        if scan.listing.refused:
            self._tell(scan.listing.refused, "")
            return True
        try:
            trouble = await self._take(scan, beat)
        except Unsettled as error:
            log.info("components changed while they were published; looking again", reason=str(error))
            return False
        except HubError as error:
            self._tell({}, f"{self._folder.path}: could not be published ({error.message})")
            return False
        self._tell({}, trouble)
        return True

    async def _take(self, scan: Scan, beat: Beat) -> str:
        """Publish what was found, if it is news. Returns why not, where it is and should not be."""
        newest = await self._components.newest()
        if not scan.files:
            said_something = newest.record is not None and newest.record.folder
            return f"{self._folder.path}: is empty, which is not published" if said_something else ""
        _, tree = encoded_tree(scan.files)
        if says_nothing_new(newest.record, tree) and not self._components.lacking:
            return ""
        await beating(upload(self._objects, self._folder, scan.files), beat)
        if newest.record is not None and newest.record.tree == tree:
            self._components.lacking = 0
        if not self._lease.held:
            return ""
        done = await beating(self._components.take_folder(tree), beat)
        if done.revision != newest.revision:
            log.info("components published", revision=done.revision, files=done.files, bytes=done.bytes)
        return ""

    async def _still(self, beat: Beat) -> Scan | None:
        """What the folder has, once nothing in it changes; None where this hub leads no more."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._lease.held:
            beat()
            restless = "its files"
            try:
                scan = await beating(asyncio.to_thread(self._folder.scan), beat)
                await asyncio.sleep(self._settle)
                again = await beating(asyncio.to_thread(self._folder.look), beat)
                if again.files == scan.listing.files:
                    return scan
                restless = _first_difference(scan.listing.files, again.files)
            except Unsettled as error:
                restless = str(error)
                await asyncio.sleep(self._settle)
            if loop.time() - began > _RESTLESS:
                self._tell({}, f"{self._folder.path}/{restless}: keeps changing, and is published when it is still")
        return None

    def _tell(self, refused: dict[str, str], trouble: str) -> None:
        for path, reason in refused.items():
            if self._refused.get(path) != reason:
                log.error("component refused; nothing is published", path=path, reason=reason)
        if self._refused and not refused:
            log.info("components are well again", folder=str(self._folder.path))
        if trouble and trouble != self._trouble:
            log.warning("components are not published", reason=trouble)
        self._refused, self._trouble = refused, trouble


def _first_difference(before: dict[str, Stamp], after: dict[str, Stamp]) -> str:
    """The first path at which two listings differ."""
    return min(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
