"""Work that outlives the callback which began it: bounded, owned, and waited for at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hub.errors import Overloaded

T = TypeVar("T")


class InFlight:
    """Up to `limit` pieces of work at once. What does not fit is refused, never queued."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()  # asking for it is a system call, dear once in every request
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a piece of work, which must not raise.

        Raises:
            Overloaded: as much is in flight as may be.
        """
        self._start(work)

    async def hold(self, work: Coroutine[Any, Any, T]) -> T:
        """Do a piece of work and return what it returns. Whoever is cancelled here gives the work up with its place.

        Raises:
            Overloaded: as much is in flight as may be.
            Exception: whatever the work raises.
        """
        return await self._start(work)

    async def drain(self, timeout: float) -> None:
        """Wait until all is done; cancel what is not done after `timeout` seconds."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=timeout)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        if len(self._tasks) >= self._limit:
            work.close()
            raise Overloaded(f"hub: {self._limit} requests are in flight already; try again in a moment")
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
