"""nats-py's client, made to survive messages that are no text, and a connection that ends while it is being closed.

NATS subjects and headers are bytes to the server, and whoever may publish chooses them. nats-py decodes them in its
read loop and ends that loop when it cannot: one subject that is not UTF-8, one vertical tab in it, or one broken header
stops every subscriber of a wildcard until the connection is given up for dead, seconds later.

And uvloop raises a bare RuntimeError for writing to a transport that has closed, which nats-py expects nowhere.

Also, a flush is what its name says. nats-py writes the ping at once, ahead of all that it has not written yet, so that
the pong tells nothing of what was sent before: a drain would end too early, a subscription not be there yet.
"""

from __future__ import annotations

import asyncio

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, ProtocolError
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

_LINE_END = b"\r\n"
_MESSAGES = (b"MSG ", b"HMSG ")
_NO_TEXT = bytes.maketrans(b"\x0b\x0c", b"\xff\xff")
"""What nats-py takes for a separator and the server does not, to what is never text."""


class SturdyClient(Client):
    """Drops messages whose subject or reply subject is not text, and reads a broken header as none.

    Attributes:
        unreadable: Messages that were dropped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unreadable = 0
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
