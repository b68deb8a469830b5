"""Keeping one service's instances at hand: subscribed to its deltas, read anew whenever one may have been missed."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from weakref import WeakSet

from nats.aio.msg import Msg

from hub.client.link import Hearing, Link
from hub.client.reading import delta, read
from hub.client.replica import TRUST, Reading, Replica
from hub.client.republished import is_republished
from hub.client.rereading import Rereading
from hub.client.tasks import Tasks
from hub.client.watch import Watch
from hub.wire import subjects

log = logging.getLogger("hub.client")

_LAG = 0.25
"""Seconds until a replica of the registry's stream that was behind is asked again."""
_TURNS = 1000
"""Turns of the loop that changes already received are given, before a reading is adopted."""


class Follower:
    """Follows one service.

    Args:
        link: The connection.
        service: Its name.
        tasks: Owns the background task.
        on_change: Called after each change.
    """

    def __init__(self, link: Link, service: str, tasks: Tasks, on_change: Callable[[], None]) -> None:
        self.replica = Replica(self._changed)
        self.turn = random.randrange(1 << 16)
        """How many round-robin picks came before; begins anywhere, lest all clients begin with the same instance."""
        self.used = True
        """Whether anybody has asked since this was last set to False."""
        self.discovered = False
        """Whether anybody has asked at all, and it is not only kept at hand."""
        self._link = link
        self._service = service
        self._on_change = on_change
        self._watches: WeakSet[Watch] = WeakSet()
        self._deltas: Hearing | None = None
        self._confirmed = 0.0
        self._rereading = Rereading(f"{service}: the registry", link, self._read, tasks, f"follow-{service}")

    @property
    def watched(self) -> bool:
        """Whether somebody watches the service."""
        return len(self._watches) > 0

    @property
    def age(self) -> float:
        """Seconds since what is known was last known to be complete."""
        return asyncio.get_running_loop().time() - self._confirmed

    @property
    def stale(self) -> bool:
        """Whether changes may be missing without our knowing."""
        return self._rereading.stale

    async def loaded(self, timeout: float) -> None:
        """Return once there is something to answer from.

        Raises:
            Unavailable: neither the registry nor a hub could be read in time.
        """
        await self._rereading.loaded(timeout)

    def resync(self) -> None:
        """Read the service anew, soon: something may have been missed."""
        self._rereading.resync()

    def watch(self) -> Watch:
        """Follow the changes. The watch is let go of when its user does so."""
        watch = Watch(self.replica.get, self.replica.ids())
        self._watches.add(watch)
        return watch

    async def aclose(self) -> None:
        """Follow no more."""
        for watch in self._watches:
            watch.end()
        await self._rereading.aclose()
        if self._deltas is not None:
            await self._link.unsubscribe(self._deltas)
            self._deltas = None

    async def _read(self) -> float | None:
        if self._deltas is None:
            self._deltas = await self._link.subscribe(subjects.registry_delta(self._service), self._on_delta)
        self.replica.begin()
        try:
            began, found = await self._newest(self._deltas)
            if not self.replica.adopt(found, asyncio.get_running_loop().time()):
                self.resync()
        finally:
            self.replica.abandon()
        self._confirmed = began
        return TRUST if self.replica.on_trust else None

    async def _newest(self, deltas: Hearing) -> tuple[float, Reading]:
        """A reading, and when it was begun. One older than what was heard is made once more before it is believed."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = await read(self._link, self._service)
        if found.revision < self.replica.revision:  # a server of a cluster that lags, or a registry made anew
            await asyncio.sleep(_LAG)
            began = loop.time()
            found = await read(self._link, self._service)
        for _ in range(_TURNS):
            if not deltas.pending:
                break
            await asyncio.sleep(0)  # a change that the reading has already would look out of order after it
        return began, found

    async def _on_delta(self, message: Msg) -> None:
        if not is_republished(message, subjects.REGISTRY_DELTA_PREFIX):
            return
        try:
            followed = self.replica.apply(delta(message))
        except ValueError as error:
            log.warning("%s", error)
            followed = False
        if not followed:
            self.resync()

    def _changed(self, ids: Iterable[str]) -> None:
        self._on_change()
        for watch in self._watches:
            watch.notify(ids)
