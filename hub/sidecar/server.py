"""Serving the HTTP face beside the hub: a socket of its own, no hand on signals, no say over the hub's life."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import structlog
import uvicorn
from starlette.applications import Starlette

from hub.errors import StartupError
from hub.sidecar.connections import GuardedProtocol
from hub.sidecar.routes import Vitals, routes

log = structlog.get_logger(__name__)

_STOP_WITHIN = 1.0
_KEEP_ALIVE = 30


class _Server(uvicorn.Server):
    """uvicorn, but signals are the hub's affair."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Sidecar:
    """Serves HTTP for as long as its context is open.

    Args:
        vitals: What to tell.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
    """

    def __init__(self, vitals: Vitals, *, host: str, port: int) -> None:
        self._vitals = vitals
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def __aenter__(self) -> Self:
        self._socket = self._listen()
        self._port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            Starlette(routes=routes(self._vitals)),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=int(_STOP_WITHIN),
            http=GuardedProtocol,
            server_header=False,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._serve(self._server, self._socket), name="http-sidecar")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_STOP_WITHIN + 0.5)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    async def _serve(self, server: _Server, listening: socket.socket) -> None:
        try:
            await server.serve(sockets=[listening])
        except (OSError, RuntimeError) as error:  # the hub lives on without its HTTP face
            log.error("HTTP sidecar failed", reason=str(error))

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server(
                (self._host, self._port), family=socket.AF_INET6 if ":" in self._host else socket.AF_INET, backlog=1024
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StartupError(
                    f"port {self._port} on {self._host} is taken: stop what listens there, "
                    "or choose another with --http-port (0 = any free one)"
                ) from None
            raise StartupError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror}; choose others with --host, --http-port"
            ) from None
