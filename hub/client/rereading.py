"""Reading what is followed: at once, again soon where something may have been missed, and from time to time anyway."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from hub.client.link import Link
from hub.client.tasks import Tasks, end
from hub.core.backoff import backoff
from hub.errors import HubError, Unavailable

log = logging.getLogger("hub.client")

PERIOD = 30.0
"""Seconds between readings when nothing seems to be missing, plus or minus a fifth."""
SETTLING = 2.0
"""Seconds after the first reading until the second: in a cluster, a subscription takes a moment to be heard of."""
SPACING = 0.2
"""Seconds between two readings, however many reasons for one come up."""


class Rereading:
    """Reads in the background, for as long as it is open.

    Args:
        what: What is read, for the log and for errors.
        link: The connection.
        read: Reads once; raises HubError where it cannot. Where what it found is good for so many seconds only, it
            returns them.
        tasks: Owns the background task.
        name: The name of that.
    """

    def __init__(
        self, what: str, link: Link, read: Callable[[], Awaitable[float | None]], tasks: Tasks, name: str
    ) -> None:
        self._what = what
        self._link = link
        self._read = read
        self._wanted = asyncio.Event()
        self._loaded = asyncio.Event()
        self._failure: HubError | None = None
        self._doubt = True
        self._task = tasks.spawn(self._run(), name)

    @property
    def is_loaded(self) -> bool:
        """Whether it was read at least once."""
        return self._loaded.is_set()

    @property
    def stale(self) -> bool:
        """Whether changes may be missing without our knowing."""
        return self._doubt or not self._link.connected

    async def loaded(self, timeout: float) -> None:
        """Return once it was read.

        Raises:
            Unavailable: it could not be in time.
        """
        if self._loaded.is_set():
            return
        try:
            async with asyncio.timeout(timeout):
                await self._loaded.wait()
        except TimeoutError:
            cause = f" ({self._failure.message})" if self._failure else ""
            raise Unavailable(f"{self._what} could not be read{cause}") from None

    def resync(self) -> None:
        """Read anew, soon: something may have been missed."""
        self._doubt = True
        self._wanted.set()

    async def aclose(self) -> None:
        """Read no more."""
        await end(self._task)

    async def _run(self) -> None:
        failures, readings = 0, 0
        while True:
            self._wanted.clear()
            try:
                if not self._link.connected:
                    raise Unavailable("NATS is away")
                good_for = await self._read()
            except HubError as error:
                failures += 1
                wait = backoff(failures)
                if self._failure is None and self._link.connected:
                    log.warning("%s could not be read; going on with what is known (%s)", self._what, error.message)
                self._failure, self._doubt = error, True
                await asyncio.sleep(error.retry_after or 0.0)  # sooner it would be refused again, whatever has changed
            else:
                failures, readings = 0, readings + 1
                self._failure, self._doubt = None, self._wanted.is_set()
                self._loaded.set()
                wait = (SETTLING if readings == 1 else PERIOD) * random.uniform(0.8, 1.2)
                if good_for is not None:
                    wait = good_for * random.uniform(1.0, 1.4)
            await asyncio.sleep(SPACING * random.uniform(0.5, 1.5))
            await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            return
