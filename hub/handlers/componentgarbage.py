"""Contents that no kept version needs go, an hour after they were first seen unused. Only the leader looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from hub.core.components import KEPT_UNUSED, Unused, needed
from hub.core.condition import Condition, warning
from hub.errors import HubError
from hub.handlers.components import Components
from hub.store.lease import LeaderLease
from hub.store.objects import Inventory, ObjectStore
from hub.transport.loops import Beat, beating

log = structlog.get_logger(__name__)

PERIOD: Final = 300.0
"""Seconds between two rounds."""
_WAIT: Final = 1.0
_STRAY: Final = "chunks of "


class ComponentGarbage:
    """Takes out what nobody needs, and finds out what somebody needs and is not there.

    Before anything goes, every version that is kept was read: one that cannot be read keeps everything. What is put in
    anew at the same moment stays.

    Args:
        components: Knows the versions.
        objects: Has the contents.
        lease: Only its holder takes anything out.
        clock: Monotonic seconds.
        kept: Seconds that something unused is kept.
        period: Seconds between two rounds.

    Attributes:
        taken_out: How many contents were taken out.
    """

    def __init__(
        self,
        components: Components,
        objects: ObjectStore,
        lease: LeaderLease,
        clock: Callable[[], float],
        *,
        kept: float = KEPT_UNUSED,
        period: float = PERIOD,
    ) -> None:
        self._components = components
        self._objects = objects
        self._lease = lease
        self._clock = clock
        self._unused = Unused(kept)
        self._period = period
        self._trees: list[str] = []
        self._needs: tuple[set[str], set[str]] = set(), set()
        self.taken_out = 0

    @property
    def condition(self) -> Condition:
        """Whether the newest version is whole."""
        lacking = self._components.lacking
        return warning(
            f"components: {lacking} contents of the newest version are missing in the object store; publish them again"
            if lacking
            else ""
        )

    async def run(self, beat: Beat) -> None:
        """A round from time to time, for ever."""
        due = self._clock() + _WAIT
        while True:
            beat()
            await asyncio.sleep(_WAIT)
            if not self._lease.held or self._clock() < due:
                continue
            try:
                await beating(self.round(), beat)
            except HubError as error:
                log.warning("components were not looked through", reason=error.message)
            due = self._clock() + self._period

    async def round(self) -> None:
        """Look through all that there is.

        Raises:
            HubError: something cannot be read; what was not taken out stays.
        """
        inventory = await self._objects.inventory()
        used = await self._used(inventory)
        if used is None:
            return
        seen = {name: blob.sequence for name, blob in inventory.blobs.items()}
        seen |= {_STRAY + nuid: count for nuid, count in inventory.strays().items()}
        for name in self._unused.due(seen, used, self._clock()):
            if not self._lease.held:
                return
            await self._take_out(name, inventory)
        for name, sequence in inventory.deleted.items():  # the hub that has deleted it has not lived to do this
            await self._objects.drop_marker(name, sequence)

    async def _used(self, inventory: Inventory) -> set[str] | None:
        """What the versions need that are kept; None where that is not known of the newest.

        An older one whose list of files is gone can never be the newest again, and needs nothing.
        """
        trees = [record.tree for record in await self._components.kept()]
        if trees and not inventory.whole(trees[0]):
            self._components.lacking = 1
            return None
        whole = [tree for tree in trees if inventory.whole(tree)]
        if whole != self._trees:
            self._needs = await self._read(whole)
            self._trees = whole
        newest, all_of_them = self._needs
        self._components.lacking = len(inventory.missing(newest))
        return all_of_them

    async def _read(self, trees: list[str]) -> tuple[set[str], set[str]]:
        """What the newest version needs, and what all of them need; the newest comes first."""
        newest: set[str] = set()
        all_of_them: set[str] = set()
        for tree in dict.fromkeys(trees):
            needs = needed(await self._components.files(tree), tree)
            newest = newest or needs
            all_of_them |= needs
        return newest, all_of_them

    async def _take_out(self, name: str, inventory: Inventory) -> None:
        if name.startswith(_STRAY):
            await self._objects.drop_chunks(name.removeprefix(_STRAY))
        elif not await self._objects.take_out(inventory.blobs[name]):
            return
        self.taken_out += 1
        log.info("unused content of the components taken out", name=name)
