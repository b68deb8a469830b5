"""gRPC: what `grpc.health.v1.Health/Check` says. Imported only where grpclib is installed.

The two messages of the protocol are written and read by hand: the generated classes of them that are around are
registered by the same name in one pool of the process, where a second copy is an error.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final, cast

from grpclib import GRPCError, Status
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.config import Configuration
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import ProtocolError, StreamTerminatedError
from grpclib.protocol import H2Protocol

from hub.probes.dialing import Dialer
from hub.probes.look import Failed
from hub.wire.checks import GrpcCheck

ALPN: Final = "h2"
_METHOD: Final = "/grpc.health.v1.Health/Check"
_STATUSES: Final = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_WINDOW: Final = 65_535
_LAST_WORDS: Final = 0.1
"""Seconds that what came before the connection was lost has to be made a reply of."""
_MOST_BYTES: Final = 64 * 1024
"""What one answer may take in all, whatever the frames of it say."""


class GrpcLook:
    """Makes one call on a connection of its own."""

    def __init__(self, dialer: Dialer, check: GrpcCheck, *, host: str, port: int) -> None:
        self._dialer = dialer
        self._host = check.host or host
        self._port = check.port or port
        self._tls = dialer.context(verify=check.verify, alpn=ALPN) if check.tls else None
        self._service = check.service
        self._request = _request(check.service)

    async def __call__(self) -> str:
        """Look once."""
        channel = _Channel(self._dialer, self._host, self._port, self._tls)
        async with channel:
            try:
                reply = await channel.ask(self._request)
            except GRPCError as error:
                raise Failed(self._said(error)) from None
            except (ProtocolError, StreamTerminatedError) as error:
                raise Failed(f"the answer is not gRPC's ({error})") from None
        status = _status(reply)
        if status != "SERVING":
            raise Failed(status)
        return status

    def _said(self, error: GRPCError) -> str:
        if error.status is Status.NOT_FOUND:
            return f"service {self._service!r} is not known there"
        if error.status is Status.UNIMPLEMENTED:
            return "no grpc.health.v1.Health there"
        return f"{error.status.name}: {error.message}" if error.message else error.status.name


class _Bytes(CodecBase):
    """Messages that are bytes already."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        assert isinstance(message, bytes)
        return message

    def decode(self, data: bytes, message_type: Any) -> Any:
        return data


class _Channel(Channel):
    """Connects through the dialer, and takes no more than a health check is worth."""

    def __init__(self, dialer: Dialer, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        limits = Configuration(http2_connection_window_size=_WINDOW, http2_stream_window_size=_WINDOW)
        super().__init__(host, port, ssl=tls, codec=_Bytes(), config=limits)
        self._dialer = dialer
        self._address = host, port
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask(self, request: bytes) -> bytes | None:
        """The reply to one call.

        The library does not tell a call that begins while the connection breaks; it would wait for ever.

        Raises:
            GRPCError: the server says so.
            Failed, OSError: there is no connection.
            ProtocolError, StreamTerminatedError: the connection broke.
        """
        call = asyncio.ensure_future(UnaryUnaryMethod(self, _METHOD, bytes, bytes)(request))
        try:
            await asyncio.wait((call, self._lost), return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                await asyncio.wait((call,), timeout=_LAST_WORDS)
            if not call.done():
                raise StreamTerminatedError("connection lost")
            return await call
        finally:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    async def _create_connection(self) -> H2Protocol:
        tls = self._ssl if isinstance(self._ssl, ssl.SSLContext) else None
        protocol = self._protocol_factory()
        await self._dialer.open(lambda: _Bounded(protocol, self._lost), *self._address, tls=tls)
        return protocol


class _Bounded(asyncio.Protocol):
    """Passes on to another protocol what comes, and cuts the connection where too much does."""

    def __init__(self, inner: H2Protocol, lost: asyncio.Future[None]) -> None:
        self._inner = inner
        self._lost = lost
        self._left = _MOST_BYTES
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        another = self._left == _MOST_BYTES and data.startswith(b"HTTP/")  # HTTP/1, which waits for us to say more
        self._left -= len(data)
        if self._left >= 0 and not another:
            self._inner.data_received(data)
        elif self._transport is not None:
            self._transport.abort()

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._inner.connection_lost(error)
        if not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


def _request(service: str) -> bytes:
    """A HealthCheckRequest: field 1, text."""
    name = service.encode()
    return b"\x0a" + _varint(len(name)) + name if name else b""


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _status(reply: bytes | None) -> str:
    """The status in a HealthCheckResponse: field 1, a number below 128; UNKNOWN, which is 0, is not sent at all."""
    if not reply:
        return _STATUSES[0]
    if len(reply) != 2 or reply[0] != 0x08 or reply[1] >= len(_STATUSES):
        raise Failed("the answer is not grpc.health.v1's")
    return _STATUSES[reply[1]]
