"""The loops that a hub lives by: owned, ended together, and never missed: when one fails, the hub cannot go on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class Loops:
    """Runs loops, and minds those of others, until the hub ends. Made on the running event loop."""

    def __init__(self) -> None:
        self._own: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ending = False

    @property
    def alive(self) -> bool:
        """Whether none has failed."""
        return not self._failed.done()

    def run(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        """Run a loop, which is to end only when it is told to."""
        task = asyncio.create_task(loop, name=name)
        self._own.add(task)
        task.add_done_callback(self._own.discard)
        self.mind(task)

    def mind(self, task: asyncio.Task[None]) -> None:
        """Fail when this task ends before the hub does. Its owner ends it."""
        task.add_done_callback(self._on_end)

    def fail(self, error: BaseException) -> None:
        """The hub cannot go on."""
        if not self._failed.done():
            self._failed.set_exception(error)

    async def wait_failed(self) -> None:
        """Return never, unless the hub cannot go on; then raise why."""
        await asyncio.shield(self._failed)

    async def aclose(self) -> None:
        """End the loops that were run here."""
        self._ending = True
        tasks = list(self._own)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._failed.done():
            self._failed.exception()  # whoever waits has been told; nobody else needs to be

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._ending or not self.alive:
            return
        error = task.exception() or RuntimeError(f"the loop {task.get_name()} ended")
        log.error("a loop of the hub failed; it cannot go on", loop=task.get_name(), exc_info=error)
        self.fail(error)
