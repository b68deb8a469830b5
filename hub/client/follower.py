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
from hub.client.retry import backoff
from hub.client.tasks import Tasks, end
from hub.client.watch import Watch
from hub.errors import HubError, Unavailable
from hub.wire import subjects

log = logging.getLogger("hub.client")

PERIOD = 30.0
"""Seconds between readings when nothing seems to be missing, plus or minus a fifth."""
SETTLING = 2.0
"""Seconds after the first reading until the second: in a cluster, a subscription takes a moment to be heard of."""
SPACING = 0.2
"""Seconds between two readings, however many reasons for one come up."""
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
        self._wanted = asyncio.Event()
        self._loaded = asyncio.Event()
        self._failure: HubError | None = None
        self._doubt = True
        self._confirmed = 0.0
        self._task = tasks.spawn(self._follow(), f"follow-{service}")

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
        return self._doubt or not self._link.connected

    async def loaded(self, timeout: float) -> None:
        """Return once there is something to answer from.

        Raises:
            Unavailable: neither the registry nor a hub could be read in time.
        """
        if self._loaded.is_set():
            return
        try:
            async with asyncio.timeout(timeout):
                await self._loaded.wait()
        except TimeoutError:
            cause = f" ({self._failure.message})" if self._failure else ""
            raise Unavailable(f"{self._service}: not known yet, and nobody could be asked{cause}") from None

    def resync(self) -> None:
        """Read the service anew, soon: something may have been missed."""
        self._doubt = True
        self._wanted.set()

    def watch(self) -> Watch:
        """Follow the changes. The watch is let go of when its user does so."""
        watch = Watch(self.replica.get, self.replica.ids())
        self._watches.add(watch)
        return watch

    async def aclose(self) -> None:
        """Follow no more."""
        for watch in self._watches:
            watch.end()
        await end(self._task)
        if self._deltas is not None:
            await self._link.unsubscribe(self._deltas)
            self._deltas = None

    async def _follow(self) -> None:
        failures, readings = 0, 0
        while True:
            self._wanted.clear()
            try:
                await self._read()
            except HubError as error:
                failures += 1
                wait = backoff(failures)
                if self._failure is None and self._link.connected:
                    log.warning("%s: not read, answering from what is known (%s)", self._service, error.message)
                self._failure, self._doubt = error, True
            else:
                failures, readings = 0, readings + 1
                wait = TRUST if self.replica.on_trust else SETTLING if readings == 1 else PERIOD
                wait *= random.uniform(1.0, 1.4) if wait == TRUST else random.uniform(0.8, 1.2)
            await asyncio.sleep(SPACING * random.uniform(0.5, 1.5))
            await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            return

    async def _read(self) -> None:
        if not self._link.connected:
            raise Unavailable("NATS is away")
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
        self._failure, self._doubt = None, self._wanted.is_set()
        self._loaded.set()

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
