"""PostgreSQL: whether a server takes logins, asked as `pg_isready` does, and whether a login of our own works."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from typing import Final

from hub.errors import Unsupported
from hub.masking import secrets_of
from hub.probes.dialing import Dialer, secure
from hub.probes.look import Failed, Look, clean
from hub.transport.postgres import tls_of
from hub.transport.tls import Unusable
from hub.wire.checks import PostgresCheck

_VERSION_3: Final = 196608
_STARTUP: Final = b"user\0central-hub\0application_name\0central-hub\0\0"
_HELLO: Final = struct.pack("!II", len(_STARTUP) + 8, _VERSION_3) + _STARTUP
_TLS_PLEASE: Final = struct.pack("!II", 8, 80877103)
_GOODBYE: Final = b"X\0\0\0\4"
_LET_IN: Final = b"\0\0\0\0"
_FAREWELL: Final = 0.2
"""Seconds that a server has to close the connection when it is told goodbye."""
_LAST_READS: Final = 16
_LONGEST_ANSWER: Final = 4096
_SCHEMES: Final = ("postgresql://", "postgres://")
_TAKES_NONE: Final = ("57", "53")
"""Classes of SQLSTATE by which no login at all is taken now: operator intervention (starting up, shutting down), and
insufficient resources (too many connections)."""


class PostgresLook:
    """Begins a login and hears what it is answered with; it never gets as far as a password."""

    def __init__(self, dialer: Dialer, check: PostgresCheck, *, host: str, port: int) -> None:
        self._dialer = dialer
        self._host = check.host or host
        self._port = check.port or port
        self._tls = dialer.context(verify=check.verify) if check.tls else None

    async def __call__(self) -> str:
        """Look once."""
        async with self._dialer.stream(self._host, self._port) as (reader, writer):
            if self._tls is None:
                return await _begin(reader, writer)
            writer.write(_TLS_PLEASE)
            if await reader.readexactly(1) != b"S":
                raise Failed("no TLS: the server speaks none")
            async with secure(writer, self._host, self._tls) as secured:
                return await _begin(*secured)


async def _begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Begin a login, and tell what comes of it."""
    writer.write(_HELLO)
    kind, length = struct.unpack("!cI", await reader.readexactly(5))
    if kind not in (b"R", b"E", b"v"):
        raise Failed("the answer is not PostgreSQL's")
    body = await reader.readexactly(min(max(length - 4, 0), _LONGEST_ANSWER))
    if kind != b"E":
        if body == _LET_IN:
            await _leave(reader, writer)
        return "takes logins"
    code, message = _error(body)
    if code.startswith(_TAKES_NONE):
        raise Failed(message)
    return f"takes logins (refused this one: {message})"


async def _leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take leave of a server that has let us in without a password. It would log that we were cut off."""
    writer.write(_GOODBYE)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FAREWELL):
            for _ in range(_LAST_READS):
                if not await reader.read(_LONGEST_ANSWER):
                    return


def _error(body: bytes) -> tuple[str, str]:
    """SQLSTATE and message of an ErrorResponse."""
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return fields.get(b"C", ""), clean(fields.get(b"M", "error without a message"))


def postgres_url(url: str, *, timeout: float = 3.0, ca: str | None = None) -> Look:
    """Looks at the PostgreSQL that a URL names: logs in anew and runs `SELECT 1`. Nothing of the URL is ever shown.

    Args:
        url: Where it is, and how to log in.
        timeout: Seconds that a look may take.
        ca: The file of the CAs that its certificate may be from; see `hub.transport.postgres`.

    Raises:
        Unsupported: its driver is not installed.
    """
    try:  # here, and not when looking: it takes its time
        import asyncpg
    except ImportError:
        raise Unsupported("PostgreSQL: its driver is not installed; install central-hub[databases]") from None

    async def look() -> str:
        if not url.startswith(_SCHEMES):
            raise Failed("the URL is not one of PostgreSQL")
        try:
            tls = tls_of(url, ca)
        except Unusable as error:
            raise Failed(str(error)) from None
        try:
            connection = await asyncpg.connect(
                url, timeout=timeout, command_timeout=timeout, statement_cache_size=0, ssl=tls
            )
        except ssl.SSLError:
            raise  # a ValueError, too, but in words that may be told
        except (ValueError, asyncpg.InterfaceError):  # whose words may be pieces of a URL that is taken apart wrongly
            raise Failed("the URL is not one of PostgreSQL, or what it asks for cannot be had") from None
        except asyncpg.PostgresError as error:
            raise Failed(str(error)) from None
        try:
            await connection.fetchval("SELECT 1")
        except asyncpg.PostgresError as error:
            raise Failed(str(error)) from None
        finally:
            connection.terminate()
        return "login and query answered"

    return Look(look, timeout, secrets=secrets_of(url))
