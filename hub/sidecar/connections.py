"""HTTP connections that cannot be held for nothing.

uvicorn waits without end for the first request of a connection, for the rest of one, and for who does not read; and it
answers 503 to everybody once it has as many connections as it takes. A few hundred idle ones would make a healthy hub
look dead to its probes. Here whoever does not go on is closed, and whoever is idle makes room. And it looks at all that
has come at once: a thousand requests in the same moment would keep NATS waiting until the last of them was understood.
Here they take turns.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hub.errors import HubError, InvalidRequest
from hub.sidecar.credentials import CERTIFICATE
from hub.sidecar.problems import MEDIA_TYPE, RequestTimeout, document
from hub.sidecar.replies import HSTS, SECURITY, STRICT_TRANSPORT
from hub.sidecar.requests import PATIENCE

STALLED: Final = 20.0
"""Seconds after which a connection is cut that has not taken what was written to it."""
MAX_UNREAD: Final = 1024 * 1024
"""Bytes of a body that may come after the response to it, from a caller who has not heard yet that it is too large."""

_A_TURN: Final = 1
"""Connections that are looked at before everything else on the event loop gets its turn."""


class Open(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Close it at once."""


class Connections:
    """Those that are open. Made on the running event loop.

    Args:
        limit: How many may be.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._turns = _A_TURN
        self._came: deque[tuple[GuardedProtocol, bytes]] = deque()
        self._idle: dict[Open, None] = {}
        self._open = 0
        self._greetings: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return self._open

    def opened(self, connection: Open) -> None:
        """Another one. The one that has been idle for longest makes room for it, if need be; itself if none is."""
        self._open += 1
        self._idle[connection] = None
        if self._open > self._limit:
            longest = next(iter(self._idle))
            del self._idle[longest]
            longest.abort()

    def closed(self, connection: Open) -> None:
        """One less."""
        self._open -= 1
        self._idle.pop(connection, None)

    def greet(self, greeting: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have a handshake made, which ends by itself, or with all of them."""
        task = self._loop.create_task(greeting)
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)
        return task

    async def aclose(self) -> None:
        """Make no handshake any more. Connections that are past theirs are uvicorn's to close."""
        for task in (greetings := list(self._greetings)):
            task.cancel()
        await asyncio.gather(*greetings, return_exceptions=True)

    def idle(self, connection: GuardedProtocol) -> None:
        """It has been answered."""
        self._idle[connection] = None

    def busy(self, connection: GuardedProtocol) -> None:
        """It has asked."""
        self._idle.pop(connection, None)

    def came(self, connection: GuardedProtocol, data: bytes) -> None:
        """Data came for it, which is looked at when it is its turn: at once, mostly."""
        if not self._turns or self._came:
            self._came.append((connection, data))
            connection.hold()
            return
        if self._turns == _A_TURN:
            self._loop.call_soon(self._next_turn)
        self._turns -= 1
        connection.look(data)

    def _next_turn(self) -> None:
        self._turns = _A_TURN
        if not self._came:
            return
        self._loop.call_soon(self._next_turn)
        while self._came and self._turns:
            connection, data = self._came.popleft()
            self._turns -= 1
            connection.look(data)
            connection.release()


class GuardedProtocol(H11Protocol):
    """One HTTP connection.

    Args:
        guard: Where to say so.
    """

    def __init__(self, *args: Any, guard: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard
        self._asking: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._begun = False
        self._unread = 0
        self._held = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol.connection_made`."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, CERTIFICATE: _certificate(transport)}
        self._asking = self.loop.call_later(PATIENCE, self._too_slow)
        self._guard.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol.connection_lost`."""
        self._guard.closed(self)
        self._stop_asking()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol.data_received`."""
        self._guard.came(self, data)

    def look(self, data: bytes) -> None:
        """Look at what came."""
        if self.transport.is_closing():
            return
        if self.is_idle:
            self._begun = True
            if self._asking is None:
                self._asking = self.loop.call_later(PATIENCE, self._too_slow)
            if self.conn.their_state is h11.SEND_BODY:
                self._unread += len(data)
                if self._unread > MAX_UNREAD:
                    self.transport.abort()
                    return
        super().data_received(data)
        if not self.is_idle:
            self._stop_asking()
            self._guard.busy(self)

    def abort(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def hold(self) -> None:
        """Read no more of it until what has come is looked at: a few who send fast would fill the memory."""
        if not self._held and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()

    def release(self) -> None:
        """Read on, unless uvicorn has enough of it."""
        if self._held and not self.transport.is_closing() and not self.flow.read_paused:
            self.transport.resume_reading()
        self._held = False

    def on_response_complete(self) -> None:
        """See `H11Protocol.on_response_complete`."""
        self._begun = False
        self._unread = 0
        if not self.transport.is_closing():
            self._guard.idle(self)
        super().on_response_complete()
        if not self.is_idle:  # the next request had come already
            self._guard.busy(self)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol.pause_writing`."""
        super().pause_writing()
        self._reading = self._reading or self.loop.call_later(STALLED, self.transport.abort)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol.resume_writing`."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def send_400_response(self, msg: str) -> None:
        """See `H11Protocol.send_400_response`."""
        self._end(InvalidRequest("request: expected HTTP/1.1, got something else"))

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _too_slow(self) -> None:
        """A request did not come as a whole, or none did."""
        self._asking = None
        if self._begun and self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._end(RequestTimeout(f"request: expected whole headers within {PATIENCE:g} s"))
        else:
            self.transport.abort()

    def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _end(self, error: HubError) -> None:
        """Say what is wrong with what was sent, which is no request, and close."""
        body = document(error, "")
        reason = HTTPStatus(error.status).phrase
        headers = {**SECURITY, "content-type": MEDIA_TYPE, "content-length": str(len(body)), "connection": "close"}
        if self.scheme == "https":
            headers[STRICT_TRANSPORT] = HSTS
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 {error.status} {reason}\r\n{head}\r\n".encode() + body)
        self.transport.close()

    def _should_upgrade(self) -> bool:
        """No: and whoever asks for it is answered as if it had not, without a line in the log."""
        return False


def _certificate(transport: asyncio.Transport) -> str | None:
    """The certificate (PEM) that the other side has come with; None where it came with none that TLS has verified."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if tls is None or tls.context.verify_mode is ssl.CERT_NONE:
        return None
    found = tls.getpeercert(binary_form=True)
    return None if found is None else ssl.DER_cert_to_PEM_cert(found)
