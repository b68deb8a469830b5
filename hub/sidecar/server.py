"""Serving the HTTP face beside the hub: a socket of its own, no hand on signals, no say over the hub's life."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Self

import structlog
import uvicorn

from hub.errors import StartupError
from hub.settings.model import Http
from hub.sidecar.connections import Connections, GuardedProtocol
from hub.sidecar.descriptors import make_room
from hub.sidecar.face import application
from hub.sidecar.feed import Feed
from hub.sidecar.greeting import Greeting
from hub.sidecar.hosts import Hosts
from hub.sidecar.login import Login
from hub.sidecar.origins import Origins
from hub.sidecar.ports import Hub
from hub.sidecar.row import Serving
from hub.sidecar.table import TABLE
from hub.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_STOP_WITHIN = 1.0
_GIVE_UP_WITHIN = 0.2
"""Seconds in which who answers a connection that is gone notices that."""
_KEEP_ALIVE = 30
_BACKLOG = 1024
_RECEIVED_AT_ONCE = 64 * 1024
"""Bytes that the kernel keeps of a connection, and so about what a read brings: a request has hardly more, and two
thousand callers who send as fast as they can shall not fill the memory."""
_LOOK_EVERY = 0.5
"""Seconds between two looks at whether the socket still listens, which nobody is told of when it does not."""
_AGAIN_AFTER = 0.1
_AGAIN_AFTER_AT_MOST = 5.0
_OF_STRANGERS = "Invalid HTTP request", "Unsupported upgrade request", "No supported WebSocket library"
_WELL_AFTER = 10.0
"""Seconds of serving after which an earlier failure is forgotten."""


class _Server(uvicorn.Server):
    """uvicorn, but signals are the hub's affair."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _is_news(record: logging.LogRecord) -> bool:
    """Whether what uvicorn says is more than that a stranger spoke no HTTP: as many lines as anybody likes to cause."""
    return not str(record.msg).startswith(_OF_STRANGERS)


class Deaf(Exception):
    """The socket does not listen any more."""


class Sidecar:
    """Serves HTTP for as long as its context is open. What ends it before that is logged, and it begins again.

    Args:
        hub: What to ask.
        settings: Where to listen, and how much to take on.
        metrics: Where to count.
        tls: How to speak TLS now; None speaks none.
    """

    def __init__(
        self, hub: Hub, settings: Http, metrics: Metrics, *, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        self._host = settings.host
        self._port = settings.port
        self._tls = tls
        self._connections = Connections(make_room(settings.max_connections))
        self._feed = Feed(hub.catalog, limit=settings.watchers)
        self._login = _login(hub, settings)
        self._serving = Serving(hub=hub, feed=self._feed, table=TABLE, login=self._login)
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        self._face = application(
            self._serving, metrics.http, Origins.of(settings), hosts=Hosts(settings), secure=tls is not None
        )
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        metrics.sources.http_connections = lambda: len(self._connections)
        metrics.sources.http_watchers = lambda: len(self._feed)
        hub.follow(self._feed.notice)

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self._port}"

    async def __aenter__(self) -> Self:
        try:
            listening = self._listen()
        except OSError as error:
            raise self._explained(error) from None
        self._port = int(listening.getsockname()[1])
        self._task = asyncio.create_task(self._keep_serving(listening), name="http-sidecar")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._call_off()
        if self._server is not None:
            self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_STOP_WITHIN + 0.5)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._connections.aclose()

    def _call_off(self) -> None:
        """Let nobody wait or watch any more."""
        self._feed.close_all()
        for task in self._serving.waiting:
            task.cancel()

    async def _keep_serving(self, first: socket.socket) -> None:
        """Serve, and begin again after whatever ended that, until the context is left."""
        listening: socket.socket | None = first
        pause, loop = _AGAIN_AFTER, asyncio.get_running_loop()
        while not self._ending.is_set():
            began = loop.time()
            try:
                with listening or self._listen() as own:
                    await self._serve(own)
                return
            except* Exception as errors:  # noqa: BLE001  # whatever it is, the hub lives on without its HTTP face
                reason = "; ".join(str(error) or type(error).__name__ for error in errors.exceptions)
            if loop.time() - began > _WELL_AFTER:
                pause = _AGAIN_AFTER
            log.error("HTTP sidecar failed; the hub goes on, and it begins again", reason=reason, after=pause)
            listening = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._ending.wait()
            pause = min(pause * 2, _AGAIN_AFTER_AT_MOST)

    async def _serve(self, listening: socket.socket) -> None:
        """Serve until the context is left. Raises, in a group, whatever ends that before."""
        server = self._server = _Server(self._configured())
        try:
            async with asyncio.TaskGroup() as group:
                minding = [self._feed.tell(), self._feed.greet(), _look(server, listening)]
                if self._login is not None:
                    minding.append(self._login.mind())
                tasks = [group.create_task(loop) for loop in minding]
                await server.serve(sockets=[listening])
                for task in tasks:
                    task.cancel()
            if not self._ending.is_set():
                raise Deaf("the server ended by itself")
        finally:
            self._call_off()
            await _abandon(server)

    def _configured(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._face,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            interface="asgi3",
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=int(_STOP_WITHIN),
            http=self._protocol(),  # type: ignore[arg-type]  # it is only called
            server_header=False,
            backlog=_BACKLOG,
        )

    def _protocol(self) -> Callable[..., asyncio.Protocol]:
        """What a connection is met with."""
        if self._tls is None:
            return partial(GuardedProtocol, guard=self._connections)
        return partial(Greeting, guard=self._connections, tls=self._tls)

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.create_server((self._host, self._port), family=family, backlog=_BACKLOG)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED_AT_ONCE)
        return listening

    def _explained(self, error: OSError) -> StartupError:
        if error.errno == errno.EADDRINUSE:
            return StartupError(
                f"port {self._port} on {self._host} is taken: stop what listens there, "
                "or choose another with --http-port (0 = any free one)"
            )
        return StartupError(
            f"cannot listen on {self._host}:{self._port}: {error.strerror}; choose others with --host, --http-port"
        )


def _login(hub: Hub, settings: Http) -> Login | None:
    """What tells who asks; None where nobody has to prove it."""
    authenticate = hub.authenticate
    if authenticate is None:
        return None
    return Login(authenticate, hub.holds, networks=settings.metrics_networks)


async def _look(server: uvicorn.Server, listening: socket.socket) -> None:
    """Raise when the socket does not listen any more, unless the server is to end."""
    while not server.should_exit:
        if listening.fileno() < 0 or not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise Deaf("its socket does not listen any more")
        await asyncio.sleep(_LOOK_EVERY)


async def _abandon(server: uvicorn.Server) -> None:
    """Leave nothing of a server behind that had no time to end, or did not know that it has."""
    if server.started:
        for accepting in server.servers:
            accepting.close()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    if left := list(server.server_state.tasks):
        _, late = await asyncio.wait(left, timeout=_GIVE_UP_WITHIN)
        for task in late:
            task.cancel()
