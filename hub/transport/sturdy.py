"""nats-py's client, made to survive messages that are no text, and a connection that ends while it is being closed.

NATS subjects and headers are bytes to the server, and whoever may publish chooses them. nats-py decodes them in its
read loop and ends that loop when it cannot: one subject that is not UTF-8, one vertical tab in it, or one broken header
stops every subscriber of a wildcard until the connection is given up for dead, seconds later.

And uvloop raises a bare RuntimeError for writing to a transport that has closed, which nats-py expects nowhere.

Also, a flush is what its name says. nats-py writes the ping at once, ahead of all that it has not written yet, so that
the pong tells nothing of what was sent before: a drain would end too early, a subscription not be there yet.

And TLS that was asked for is had, or there is no connection. nats-py speaks TLS where the server's first line says so,
which is sent in the clear: who sits between could leave it out, and be told the password.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any
from urllib.parse import ParseResult

from nats.aio.client import DEFAULT_BUFFER_SIZE, Client
from nats.aio.msg import Msg
from nats.aio.transport import TcpTransport
from nats.errors import ConnectionClosedError, ProtocolError, UnexpectedEOF
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

from hub.transport.tls import NoTls, Refused, Tls

_TCP = ("nats", "tls")
_LINE_END = b"\r\n"
_MESSAGES = (b"MSG ", b"HMSG ")
_NO_TEXT = bytes.maketrans(b"\x0b\x0c", b"\xff\xff")
"""What nats-py takes for a separator and the server does not, to what is never text."""


class SturdyClient(Client):
    """Drops messages whose subject or reply subject is not text, and reads a broken header as none.

    Attributes:
        unreadable: Messages that were dropped.
        tls: Whom to trust, and as whom to come.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unreadable = 0
        self.tls = Tls()
        self._ps = SturdyParser(self)

    async def flush(self, timeout: int = 10) -> None:
        """See `Client.flush`."""
        try:
            await super().flush(timeout)
        except RuntimeError as error:
            raise ConnectionClosedError from error

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        if self._transport is not None and self.is_connected and self._pending:
            self._transport.writelines(self._pending)
            self._pending = []
            self._pending_data_size = 0
        await super()._send_ping(future)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        try:
            await super()._close(status, do_cbs)
        except RuntimeError:  # what was pending cannot be sent any more; the rest is yet to be done
            self._pending = []
            self._pending_data_size = 0
            self._status = Client.DISCONNECTED
            await super()._close(status, do_cbs)

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """See `Client.ssl_context`. Made anew for each handshake, so that renewed certificates are used."""
        return self.tls.context()

    async def _connect_to_server(self, s: Any) -> None:
        if s.uri.scheme not in _TCP:
            await super()._connect_to_server(s)
            return
        s.last_attempt = time.monotonic()
        if not isinstance(self._transport, _Transport):
            self._transport = _Transport()  # type: ignore[no-untyped-call]
        await self._transport.connect(s.uri, DEFAULT_BUFFER_SIZE, self.options["connect_timeout"])

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self._wants_tls:
            if not (info.get("tls_required") or info.get("tls_available")):
                raise NoTls(
                    "TLS: the server speaks none: give it a certificate, or ask for none (a URL that begins with "
                    "nats://, and no file of a CA)"
                )
            info["tls_required"] = True
        if initial_connection and info.get("tls_verify") and not self.tls.cert:
            raise Refused("TLS: the server wants a certificate of the client: name the files of one and of its key")
        await super()._process_info(info, initial_connection)

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
            self._check_connected()
        except (ConnectionResetError, BrokenPipeError, UnexpectedEOF):
            if self.tls.cert is None:
                raise
            raise Refused(
                "TLS: the server hung up after the handshake, as it does where it does not trust the client's "
                "certificate, or refuses a login"
            ) from None

    def _check_connected(self) -> None:
        """Raise where the server hung up in place of a PONG, which nats-py takes for one."""
        if self.is_connected:
            return
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
            if task is not None:
                task.cancel()
        raise UnexpectedEOF

    @property
    def _wants_tls(self) -> bool:
        return bool(self.tls) or (self._current_server is not None and self._current_server.uri.scheme == "tls")

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg | None:
        try:
            message: Msg = super()._build_message(sid, subject, reply, data, headers)
        except UnicodeDecodeError:
            self.unreadable += 1
            return None
        return message

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        if not headers:
            return None
        try:
            return await super()._process_headers(headers)
        except (ValueError, IndexError):
            return None


class _Transport(TcpTransport):
    """Does not have asyncio warn at the end of each connection over TLS, which knows no end of one direction alone."""

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        assert self._io_writer is not None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=buffer_size, loop=loop)
        protocol = _Reading(reader, loop=loop)
        name = uri if isinstance(uri, str) else uri.hostname
        async with asyncio.timeout(connect_timeout):
            transport = await loop.start_tls(self._io_writer.transport, protocol, ssl_context, server_hostname=name)
        assert transport is not None
        self._io_reader, self._io_writer = reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class _Reading(asyncio.StreamReaderProtocol):
    """Closes when the other side does."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


class SturdyParser(Parser):
    """Reads a message line that nats-py does not recognise as one to be dropped, in place of losing the connection."""

    async def parse(self, data: bytes = b"") -> None:
        """See `Parser.parse`."""
        while True:
            try:
                await super().parse(data)
            except ProtocolError:
                if not self._mend():
                    raise
            else:
                if not self._mend():
                    return
            data = b""

    def _mend(self) -> bool:
        """Whether a message line was at the head of the buffer that can be recognised now."""
        if self.state != AWAITING_CONTROL_LINE or not self.buf.startswith(_MESSAGES):
            return False
        end = self.buf.find(_LINE_END)
        line = bytes(self.buf[: max(end, 0)])
        mended = line.translate(_NO_TEXT)
        if mended == line:
            return False
        self.buf[:end] = mended
        return True
