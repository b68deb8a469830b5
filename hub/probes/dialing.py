"""Connections to addresses that may be connected to. Every probe of an address opens its connections here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, TypeVar

import aiohappyeyeballs

from hub.probes.names import AddressInfo
from hub.probes.targets import Targets
from hub.transport.tls import OLDEST

_NEXT_ADDRESS: Final = 0.25
"""Seconds after which the next address of a host is tried beside the one that does not answer (RFC 8305)."""
_LONGEST_LINE: Final = 4096
_FAREWELL: Final = 0.5
"""Seconds that the other side has to say goodbye in TLS."""

_P = TypeVar("_P", bound=asyncio.BaseProtocol)


class Dialer:
    """Opens connections, each to an address that was judged beforehand.

    Args:
        targets: Finds the addresses.
        trusted: Certificates (PEM) of CAs that are trusted besides those that the machine trusts.
    """

    def __init__(self, targets: Targets, *, trusted: str = "") -> None:
        self._targets = targets
        self._trusted = trusted
        self._contexts: dict[tuple[bool, str], ssl.SSLContext] = {}

    def context(self, *, verify: bool, alpn: str = "") -> ssl.SSLContext:
        """How to speak TLS. There is one for all who want the same: making one reads every certificate there is.

        Args:
            verify: Whether the other side's certificate must be trusted, and made out to the host.
            alpn: What to speak within TLS, by its registered name; empty leaves it open.
        """
        key = (verify, alpn)
        if key not in self._contexts:
            context = ssl.create_default_context()
            context.minimum_version = OLDEST
            if self._trusted:
                context.load_verify_locations(cadata=self._trusted)
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if alpn:
                context.set_alpn_protocols([alpn])
            self._contexts[key] = context
        return self._contexts[key]

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket, of whichever of the host's addresses takes the connection first.

        Raises:
            Failed: the host has no address, or none that may be connected to.
            OSError: none takes the connection.
        """
        return await self._race(await self._targets.find(host, port))

    @staticmethod
    async def _race(found: Sequence[AddressInfo]) -> socket.socket:
        return await aiohappyeyeballs.start_connection(
            found, happy_eyeballs_delay=_NEXT_ADDRESS if len(found) > 1 else None
        )

    async def open(
        self, protocol: Callable[[], _P], host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.Transport, _P]:
        """A connection that a protocol is put to work on; over TLS where a context is given.

        Raises:
            Failed: the host has no address, or none that may be connected to.
            OSError: none takes the connection, or (`ssl.SSLError`) the handshake fails.
        """
        found = await self._targets.find(host, port)
        create = asyncio.get_running_loop().create_connection
        if tls is not None:
            name, sock = server_name(host), await self._race(found)
            return await create(protocol, sock=sock, ssl=tls, server_hostname=name, ssl_shutdown_timeout=_FAREWELL)
        if len(found) == 1 and found[0][0] == socket.AF_INET:  # the common case, at a third of the cost
            return await create(protocol, *found[0][4])
        return await create(protocol, sock=await self._race(found))

    @contextlib.asynccontextmanager
    async def stream(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection to read from and to write to. At the end it is cut, and owes nobody a goodbye.

        A line of it, or what waits to be read, is held to a few KiB.

        Raises:
            Failed, OSError: as `open` does.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LONGEST_LINE, loop=loop)
        transport, protocol = await self.open(
            lambda: asyncio.StreamReaderProtocol(reader, loop=loop), host, port, tls=tls
        )
        writer = asyncio.StreamWriter(
            transport, protocol, reader, loop
        )  # kept: one that nobody has closes the connection
        try:
            yield reader, writer
        finally:
            transport.abort()


@contextlib.asynccontextmanager
async def secure(
    writer: asyncio.StreamWriter, host: str, tls: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """The same connection over TLS from here on. What was said in the clear, and not read yet, is not read within it.

    Raises:
        OSError: (`ssl.SSLError`) the handshake fails.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LONGEST_LINE, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport = await loop.start_tls(
        writer.transport, protocol, tls, server_hostname=server_name(host), ssl_shutdown_timeout=_FAREWELL
    )
    if transport is None:
        raise ConnectionResetError
    try:
        yield reader, asyncio.StreamWriter(transport, protocol, reader, loop)
    finally:
        transport.abort()


def server_name(host: str) -> str:
    """The name that a certificate must be made out to: the host without an IPv6 zone, or the dot of a full name."""
    return host.partition("%")[0].rstrip(".")
