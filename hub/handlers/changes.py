"""Waiting for the next change of a service: one future per service that somebody waits for."""

from __future__ import annotations

import asyncio

ANY = ""
"""Waits for a change of whatever service."""


class Changes:
    """Wakes those who wait when their service changes, and nobody else."""

    def __init__(self) -> None:
        self.closed = False
        self._next: dict[str, asyncio.Future[None]] = {}

    def close(self) -> None:
        """The hub is stopping: wake everybody, and let nobody wait any more."""
        self.closed = True
        for future in self._next.values():
            if not future.done():
                future.set_result(None)
        self._next.clear()

    def notify(self, service: str) -> None:
        """The service has changed."""
        for name in (service, ANY):
            future = self._next.pop(name, None)
            if future is not None and not future.done():
                future.set_result(None)

    async def next(self, service: str) -> None:
        """Return at the service's next change; at any, if it is `ANY`; at once when closed."""
        if self.closed:
            return
        future = self._next.get(service)
        if future is None:
            future = self._next[service] = asyncio.get_running_loop().create_future()
        await asyncio.shield(future)
