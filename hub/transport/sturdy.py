"""nats-py's client, made to survive messages that are no text, and a connection that ends while it is being closed.

NATS subjects and headers are bytes to the server, and whoever may publish chooses them. nats-py decodes them in its
read loop and ends that loop when it cannot: one subject that is not UTF-8, one vertical tab in it, or one broken header
stops every subscriber of a wildcard until the connection is given up for dead, seconds later.

And uvloop raises a bare RuntimeError for writing to a transport that has closed, which nats-py expects nowhere.

Also, a flush is what its name says. nats-py writes the ping at once, ahead of all that it has not written yet, so that
the pong tells nothing of what was sent before: a drain would end too early, a subscription not be there yet.

And TLS that was asked for is had, or there is no connection. nats-py speaks TLS where the server's first line says so,
which is sent in the clear: who sits between could leave it out, and be told the password.

And who is turned away comes again. nats-py closes for good where the server ends a connection with a word of why: the
login has expired, its user was taken out, a line was too long. It says so to nobody, and every subscription is gone.
Here that is a loss like any other: the connection is made anew, with a credential that is asked for anew, and all that
was subscribed comes with it, below the inbox that belongs to that credential.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import ssl
import time
from typing import Any, Final, Literal, Protocol
from urllib.parse import ParseResult

from nats.aio.client import DEFAULT_BUFFER_SIZE, Client
from nats.aio.msg import Msg
from nats.aio.transport import TcpTransport
from nats.errors import AuthorizationError, ConnectionClosedError, Error, ProtocolError, UnexpectedEOF
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

from hub.core.backoff import backoff
from hub.transport.login import HUNG_UP, Credentials, Login, NotLetIn
from hub.transport.tls import NoTls, Refused, Tls, leaf
from hub.wire.roles import inbox_prefix_for

_TCP = ("nats", "tls")
_LINE_END = b"\r\n"
_MESSAGES = (b"MSG ", b"HMSG ")
_NO_TEXT = bytes.maketrans(b"\x0b\x0c", b"\xff\xff")
"""What nats-py takes for a separator and the server does not, to what is never text."""
_CONNECT: Final = len(b"CONNECT ")
NOT_PERMITTED: Final = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]+)\"", re.IGNORECASE)
"""What it is that the server does not permit, and the subject, in the words of its errors."""
_STALE: Final = "stale connection"
_AUTHORIZATION: Final = "authorization violation"
_ABOUT_LOGINS: Final = ("authorization", "authentication", "credential")
ANSWER_TIMEOUT: Final = 4.0
"""Seconds for the answer to a login: a server that asks others who comes waits 2 for theirs, and then says no."""
_QUOTE: Final = "'"
_SETTLED: Final = 0.2
"""Seconds after which a connection counts as one that lasts: one that is ended sooner, and again, is made later."""


class Concerned(Protocol):
    """Who wants to know what becomes of a connection, at once: neither may wait."""

    def told_forbidden(self, what: Literal["publish", "subscription"], subject: str) -> None:
        """The server does not permit it. The subject is in lower case, as the library has it."""

    def told_anew(self, *, moved: bool) -> None:
        """Another connection is made. Where the inbox `moved`, what was asked before will not be answered."""


class SturdyClient(Client):
    """Drops messages whose subject or reply subject is not text, and reads a broken header as none.

    Attributes:
        unreadable: Messages that were dropped.
        tls: Whom to trust, and as whom to come.
        login: How to log in.
        concerned: Whom to tell of what is not permitted, and of another inbox.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unreadable = 0
        self.tls = Tls()
        self.login = Login(Credentials())
        self.concerned: set[Concerned] = set()
        self._ps = SturdyParser(self)
        self._usual_inbox = ""
        self._introduced = False
        self._turned_away = 0
        self._told_off = 0
        self._let_in_at = 0.0

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
        self._end_attempt()
        if self._turned_away:
            await asyncio.sleep(backoff(self._turned_away))
        try:
            await self._take_credential()
        except Error:
            self._turned_away += 1
            raise
        if s.uri.scheme not in _TCP:
            await super()._connect_to_server(s)
            return
        s.last_attempt = time.monotonic()
        if not isinstance(self._transport, _Transport):
            self._transport = _Transport()  # type: ignore[no-untyped-call]
        await self._transport.connect(s.uri, DEFAULT_BUFFER_SIZE, self.options["connect_timeout"])

    def _end_attempt(self) -> None:
        """Leave nothing of an attempt that failed: the library begins the next one beside it."""
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
            if task is not None and not task.done():
                task.cancel()
        if isinstance(self._transport, TcpTransport):
            self._transport.close()  # type: ignore[no-untyped-call]

    async def _take_credential(self) -> None:
        fresh = await self.login.fresh()
        self.options["token"] = fresh.token
        if fresh.seed is not None and fresh.seed != self._nkeys_seed_str:
            self._nkeys_seed_str = fresh.seed
            self._setup_nkeys_connect()

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
        if initial_connection:
            self._set_whether_to_log_in(bool(info.get("auth_required")))
        await super()._process_info(info, initial_connection)

    def _set_whether_to_log_in(self, required: bool) -> None:
        """A token is told to nobody who does not ask for it: a server without logins would take it for a wrong one."""
        if self.options["token"] is not None:
            self._auth_configured = required
        elif self.login.credentials:
            self._auth_configured = True

    async def _process_connect_init(self) -> None:
        self._introduced = False
        patience = self.options["connect_timeout"]
        try:
            await super()._process_connect_init()
            self._check_connected()
        except (ConnectionResetError, BrokenPipeError, UnexpectedEOF):
            self._turned_away += self._introduced
            if self.tls.cert is not None:
                raise Refused(
                    "TLS: the server hung up after the handshake, as it does where it does not trust the client's "
                    "certificate, or refuses a login"
                ) from None
            if not self._introduced:
                raise
            asks = bool(self._server_info.get("auth_required"))  # a server that is stopped hangs up as well
            raise NotLetIn(HUNG_UP, refused=asks) from None
        except (TimeoutError, Error) as error:
            self._turned_away += self._introduced
            raise _not_let_in(error) if self._introduced else error from None
        except OSError:
            raise
        except Exception as error:  # the library would end its attempts for ever, and say nothing
            raise Error(f"nats: not connected ({type(error).__name__})") from error
        finally:
            self.options["connect_timeout"] = patience
        self._let_in_at = time.monotonic()
        self._turned_away = 0

    def _connect_command(self) -> bytes:
        command: bytes = super()._connect_command()
        self._move_inbox(json.loads(command[_CONNECT:]))
        self._introduced = True
        self.options["connect_timeout"] = max(self.options["connect_timeout"], ANSWER_TIMEOUT)
        return command

    def _move_inbox(self, said: dict[str, Any]) -> None:
        """Take replies below the prefix of what is said at the login, and what is subscribed there along with it."""
        credential = said.get("nkey") or said.get("auth_token")
        if credential is None and "user" not in said and self.tls.cert is not None:
            credential = hashlib.sha256(leaf(self.tls.cert)).hexdigest()
        before = self._inbox_prefix.decode()
        self._usual_inbox = self._usual_inbox or before
        now = inbox_prefix_for(credential) if credential else self._usual_inbox
        self._inbox_prefix = bytearray(now.encode())
        if self._resp_sub_prefix is not None:
            self._resp_sub_prefix = self._inbox_prefix + self._resp_sub_prefix[len(before) :]
        for subscription in self._subs.values():
            if now != before and subscription._subject.startswith(f"{before}."):
                subscription._subject = now + subscription._subject[len(before) :]
        for each in list(self.concerned):
            each.told_anew(moved=now != before)

    async def _process_err(self, err_msg: str) -> None:
        """What the server has to complain of. It ends the connection with it, but for a lack of permissions."""
        found = NOT_PERMITTED.search(err_msg)
        if found is not None:
            what: Literal["publish", "subscription"] = "publish" if found[1] == "publish" else "subscription"
            for each in list(self.concerned):
                each.told_forbidden(what, found[2])
        if "permissions violation" in err_msg or _STALE in err_msg:
            await super()._process_err(err_msg)
            return
        self._turned_away = 0 if time.monotonic() - self._let_in_at > _SETTLED else self._told_off + 1
        self._told_off = self._turned_away
        error = AuthorizationError() if _AUTHORIZATION in err_msg else Error(f"nats: {err_msg.strip(_QUOTE)}")
        await self._error_cb(error)
        await self._process_op_err(error)

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


def _not_let_in(error: Exception) -> NotLetIn:
    if isinstance(error, TimeoutError):
        return NotLetIn("the server did not answer the login in time", refused=False)
    said = str(error).removeprefix("nats: ").strip().strip(_QUOTE)
    return NotLetIn(said, refused=any(word in said.lower() for word in _ABOUT_LOGINS))


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
