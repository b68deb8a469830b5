"""Whether what a client knows may be out of date, told to who wants to hear of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hub.client.tasks import Tasks, end

log = logging.getLogger("hub.client")

PERIOD: Final = 0.5
"""Seconds between two looks: what is read again within that was not out of date for anybody."""


class Staleness:
    """Tells handlers when something comes to be stale, and when it no longer is; they take it for fresh at first.

    It looks only while there are handlers and the client is open. A client that closes is stale.

    Args:
        stale: Whether it is.
    """

    def __init__(self, stale: Callable[[], bool]) -> None:
        self._stale = stale
        self._handlers: list[Callable[[bool], None]] = []
        self._tasks: Tasks | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self._told = False

    def tell(self, handler: Callable[[bool], None]) -> None:
        """Have `handler` called with each change. May be called in any thread; handlers are called in the client's."""
        self._handlers.append(handler)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin)

    def forget(self, handler: Callable[[bool], None]) -> None:
        """Call it no more."""
        self._handlers.remove(handler)

    def attach(self, tasks: Tasks) -> None:
        """The client is open."""
        self._tasks, self._loop = tasks, asyncio.get_running_loop()
        self._begin()

    async def detach(self) -> None:
        """The client closes."""
        self._tasks = self._loop = None
        if self._looking is not None:
            await end(self._looking)
            self._looking = None
            self._say(True)

    def _begin(self) -> None:
        if self._handlers and self._tasks is not None and self._looking is None:
            self._looking = self._tasks.spawn(self._look(), "config-stale")

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            self._say(self._stale())

    def _say(self, stale: bool) -> None:
        if stale == self._told:
            return
        self._told = stale
        for handler in list(self._handlers):
            try:
                handler(stale)
            except Exception:
                log.exception("a handler that was told of staleness failed")
