"""HTTP connections that cannot be held for nothing: who asks nothing is closed, and makes room when it is scarce.

uvicorn waits without end for the first request of a connection, or for the rest of one, and answers 503 to everybody
once it has as many as it takes: a few hundred idle connections would make a healthy hub look dead to its probes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0
"""Seconds in which a connection must bring a whole request; at most twice as many pass until it is closed."""
MAX_CONNECTIONS = 200
"""Far below what a process may open by default (1024), since the hub needs descriptors of its own."""


class GuardedProtocol(H11Protocol):
    """One HTTP connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._answered = 0
        self._answered_before = 0
        self._opened = self.loop.time()
        self._check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol.connection_made`."""
        super().connection_made(transport)
        self._check = self.loop.call_later(PATIENCE, self._look)
        if len(self.connections) > MAX_CONNECTIONS:
            guarded = [other for other in self.connections if isinstance(other, GuardedProtocol) and other.is_idle]
            min(guarded, key=lambda other: other._opened).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol.connection_lost`."""
        if self._check is not None:
            self._check.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """See `H11Protocol.on_response_complete`."""
        self._answered += 1
        super().on_response_complete()

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        if self.is_idle and self._answered == self._answered_before:
            self.transport.abort()
            return
        self._answered_before = self._answered
        self._check = self.loop.call_later(PATIENCE, self._look)
