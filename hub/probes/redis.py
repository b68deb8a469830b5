"""Redis: whether a server answers `PING`, and whether a login of our own works.

The instances' servers are asked in plain words, and no more than one line of their answer is read: they are not ours,
and a driver would take whatever they send. Our own cache is asked through the driver, which knows every way to log in.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from hub.errors import Unsupported
from hub.masking import secrets_of
from hub.probes.dialing import Dialer
from hub.probes.look import Failed, Look, clean, words
from hub.transport.tls import OLDEST
from hub.wire.checks import RedisCheck

_SECURE: Final = "rediss://"
_LOGIN_WANTED: Final = ("NOAUTH", "NOPERM", "WRONGPASS")


class RedisLook:
    """Sends a `PING` without a login."""

    def __init__(self, dialer: Dialer, check: RedisCheck, *, host: str, port: int) -> None:
        self._dialer = dialer
        self._host = check.host or host
        self._port = check.port or port
        self._tls = dialer.context(verify=check.verify) if check.tls else None

    async def __call__(self) -> str:
        """Look once."""
        async with self._dialer.stream(self._host, self._port, tls=self._tls) as (reader, writer):
            writer.write(b"PING\r\n")
            try:
                line = await reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError:
                raise Failed("the answer is not Redis's") from None
        answer = clean(line.decode(errors="replace"))
        if answer == "+PONG":
            return "PONG"
        if not answer.startswith("-"):
            raise Failed("the answer is not Redis's")
        if answer[1:].split(" ")[0] in _LOGIN_WANTED:
            return "asks for a login"
        raise Failed(answer[1:])


def redis_url(url: str, *, timeout: float = 3.0, ca: str | None = None) -> Look:
    """Looks at the Redis that a URL names: logs in anew and sends a `PING`. No password in the URL is ever shown.

    Args:
        url: Where it is, and how to log in; `rediss` speaks TLS, and verifies the server's certificate and its name.
        timeout: Seconds that a look may take.
        ca: The file of the CAs that its certificate may be from, where the URL names none (`ssl_ca_certs`). None takes
            those that the machine trusts.

    Raises:
        Unsupported: its driver is not installed.
    """
    try:  # here, and not when looking: it takes a tenth of a second
        from redis.asyncio import ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
    except ImportError:
        raise Unsupported("Redis: its driver is not installed; install central-hub[databases]") from None

    tls: dict[str, Any] = {"ssl_ca_certs": ca, "ssl_check_hostname": True, "ssl_min_version": OLDEST}
    more = tls if url.lower().startswith(_SECURE) else {}

    async def look() -> str:
        try:
            pool = ConnectionPool.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=None, **more)
            connection = pool.make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError):
            raise Failed("the URL is not one of Redis") from None
        try:
            await connection.connect()
            await connection.send_command("PING", check_health=False)
            answer = await connection.read_response()
        except RedisError as error:
            raise Failed(_said(error)) from None
        finally:
            await connection.disconnect(nowait=True)
        return clean(answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer))

    return Look(look, timeout, secrets=secrets_of(url))


def _said(error: Exception) -> str:
    """The driver wraps what the system says."""
    cause = error.__cause__ or error.__context__
    return words(cause) if isinstance(cause, OSError) else str(error) or type(error).__name__
