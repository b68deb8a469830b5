"""HTTPS: the handshake of a connection, before there is HTTP on it.

It is made here, and not by the listening socket: so each connection has the certificate that is in use when it comes,
and who begins a handshake and does not go on is counted, bounded and closed like everybody else.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from hub.sidecar.connections import Connections, GuardedProtocol

log = structlog.get_logger(__name__)

HANDSHAKE_WITHIN: Final = 10.0
_FAREWELL_WITHIN: Final = 1.0
_OF_STRANGERS: Final = (OSError, RuntimeError)
"""What a handshake fails with where the other side is to blame: `ssl.SSLError` is an OSError, and uvloop raises a
RuntimeError where a connection has closed."""


class _Greeted(GuardedProtocol):
    """A connection after its handshake. It is counted from then on, and its greeting no more."""

    def __init__(self, *args: Any, leave: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._leave = leave

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol.connection_made`."""
        self._leave()
        super().connection_made(transport)


class Greeting(asyncio.Protocol):
    """One connection, until both sides trust each other. What makes it takes it for a `GuardedProtocol`.

    It takes the socket over before anything is read of it: a loop that reads already would take the first words of the
    handshake away from whoever is to make it.

    Args:
        guard: Where to say that it is there.
        tls: How to speak TLS now.
        arguments: What uvicorn gives a protocol.
    """

    def __init__(self, *, guard: Connections, tls: Callable[[], ssl.SSLContext], **arguments: Any) -> None:
        self._guard = guard
        self._tls = tls
        self._make = partial(_Greeted, leave=self._leave, guard=guard, **arguments)
        self._task: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self._left = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol.connection_made`."""
        try:
            self._socket = transport.get_extra_info("socket").dup()
        except OSError:  # it is gone, or there are too many open files
            return
        finally:
            transport.abort()
        self._guard.opened(self)
        if self._left:  # there was no room
            self._socket.close()
            return
        self._task = self._guard.greet(self._greet(self._socket))
        self._task.add_done_callback(self._done)

    def abort(self) -> None:
        """Give it up."""
        self._leave()
        if self._task is not None:
            self._task.cancel()

    async def _greet(self, own: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(
            self._make,
            own,
            ssl=self._tls(),
            ssl_handshake_timeout=HANDSHAKE_WITHIN,
            ssl_shutdown_timeout=_FAREWELL_WITHIN,
        )

    def _done(self, task: asyncio.Task[None]) -> None:
        self._leave()
        error = None if task.cancelled() else task.exception()
        if self._socket is not None and (task.cancelled() or error is not None):
            self._socket.close()
        if error is not None and not isinstance(error, _OF_STRANGERS):
            log.error("TLS handshake failed by a fault of the hub", exc_info=error)

    def _leave(self) -> None:
        if not self._left:
            self._left = True
            self._guard.closed(self)
