"""Waiting until a service has reached a revision."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

ANY = ""
"""Waits for a revision of the registry as a whole."""


@dataclass(slots=True, eq=False)
class _Waiters:
    """Those who wait for one service, each with the revision it waits for, and a bound below all of these."""

    revisions: dict[asyncio.Future[None], int] = field(default_factory=dict)
    lowest: int = 0


class Changes:
    """Wakes those who wait when what they wait for is reached, and nobody else.

    A change that nobody waits for costs one comparison, however many wait for a later one.
    """

    def __init__(self) -> None:
        self.closed = False
        self._waiting: dict[str, _Waiters] = {}

    def __len__(self) -> int:
        return sum(len(waiters.revisions) for waiters in self._waiting.values())

    def close(self) -> None:
        """The hub is stopping: wake everybody, and let nobody wait any more."""
        self.closed = True
        for waiters in self._waiting.values():
            for future in waiters.revisions:
                _wake(future)

    def notify(self, service: str, revision: int, registry: int) -> None:
        """The service has changed.

        Args:
            service: Its name.
            revision: Its revision now.
            registry: The revision of the registry now.
        """
        for name, reached in ((service, revision), (ANY, registry)):
            waiters = self._waiting.get(name)
            if waiters is None or reached < waiters.lowest:
                continue
            waiters.lowest = min((wanted for wanted in waiters.revisions.values() if wanted > reached), default=0)
            for future, wanted in waiters.revisions.items():
                if wanted <= reached:
                    _wake(future)

    async def reached(self, service: str, revision: int) -> None:
        """Return when the service, or the registry if it is `ANY`, changes to that revision; at once when closed."""
        if self.closed:
            return
        waiters = self._waiting.get(service)
        if waiters is None:
            waiters = self._waiting[service] = _Waiters(lowest=revision)
        waiters.lowest = min(waiters.lowest, revision)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters.revisions[future] = revision
        try:
            await future
        finally:
            del waiters.revisions[future]
            if not waiters.revisions:
                self._waiting.pop(service, None)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
