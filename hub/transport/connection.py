"""Opening a NATS connection the way this system needs it: found dead soon, never given up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import nats.errors
from nats.aio.client import Client

from hub.errors import Unauthenticated, Unavailable, Untrusted
from hub.transport.direct import DirectClient
from hub.transport.login import Credentials as Credentials
from hub.transport.login import Login, NoCredential, NotLetIn, carries_login
from hub.transport.tls import Refused, Tls, Unusable, explain

PING_INTERVAL = 2
MAX_OUTSTANDING_PINGS = 2
"""A dead server is noticed after about 2 s x (2 + 1); the library's default takes six minutes."""
RECONNECT_WAIT = 0.25

_TELLING = (NotLetIn, NoCredential, Refused)
"""Errors that say why there is no connection, rather than that there is none."""

Notice = Callable[[], Awaitable[None]]
ErrorNotice = Callable[[Exception], Awaitable[None]]


async def _ignore() -> None:
    return None


async def _ignore_error(error: Exception) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """What the owner of a connection wants to be told. Each is awaited by the connection: keep them short."""

    disconnected: Notice = _ignore
    reconnected: Notice = _ignore
    closed: Notice = _ignore
    error: ErrorNotice = _ignore_error


async def connect(
    urls: str | Sequence[str],
    *,
    name: str,
    notices: Notices | None = None,
    credentials: Credentials | None = None,
    tls: Tls | None = None,
    timeout: float = 5.0,
) -> Client:
    """Connect, trying every URL until one answers or `timeout` seconds have passed.

    Once connected, the client reconnects for ever; `notices` tell its owner of every loss and return. TLS is spoken
    where the URL begins with `tls://`, where anything of `tls` is given, and where the server wants it.

    A credential is had anew for each of these connections. While it cannot be had, or is refused, the client tries on,
    ever more seldom.

    Raises:
        InvalidRequest: what `credentials` needs is not installed.
        Untrusted: a server is not who it should be, or does not take us for who we are; or a file of `tls` is none.
        Unauthenticated: servers answered, and none let us in; or there was nothing to log in with.
        Unavailable: no server took the connection in time; the message names the servers and the cause.
    """
    servers = [urls] if isinstance(urls, str) else list(urls)
    told = notices or Notices()
    login = credentials or Credentials()
    client = DirectClient()
    client.tls = tls or Tls()
    client.login = Login(login)
    login.check()
    _check(client.tls)
    last: list[Exception] = []

    async def on_error(error: Exception) -> None:
        # a server that refuses a login, or a certificate, closes at once, and may be heard to close alone
        if not last or not isinstance(last[0], _TELLING) or isinstance(error, _TELLING):
            last[:] = [error]
        await told.error(error)

    try:
        async with asyncio.timeout(timeout):
            await client.connect(
                servers,
                name=name,
                error_cb=on_error,
                disconnected_cb=told.disconnected,
                reconnected_cb=told.reconnected,
                closed_cb=told.closed,
                connect_timeout=2,
                ping_interval=PING_INTERVAL,
                max_outstanding_pings=MAX_OUTSTANDING_PINGS,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_WAIT,  # type: ignore[arg-type]  # seconds; fractions work
                user_credentials=login.credentials_file,
            )
    except asyncio.CancelledError:
        await _abandon(client)
        raise
    except (TimeoutError, OSError, nats.errors.Error) as error:
        cause = last[0] if last and isinstance(error, TimeoutError) else error
        await _abandon(client)
        where = ", ".join(without_password(url) for url in servers)
        untrusted = explain(cause, _host(servers))
        if untrusted is not None:
            raise Untrusted(f"NATS at {where}: {untrusted}") from None
        if isinstance(cause, NoCredential):
            raise Unauthenticated(f"NATS at {where}: nothing to log in with: {cause}") from cause.__cause__
        if isinstance(cause, NotLetIn) and cause.refused:
            raise Unauthenticated(f"NATS at {where} refuses the login ({cause}){refused_by(login, servers)}") from None
        raise Unavailable(f"NATS: no server took the connection at {where} ({describe(cause)})") from None
    return client


def _check(tls: Tls) -> None:
    """Tell of files that cannot be used before anybody waits for a server. Raises Untrusted."""
    try:
        if tls:
            tls.check()
    except Unusable as error:
        raise Untrusted(str(error)) from None


def _host(servers: Sequence[str]) -> str:
    """The host of the server, where there is but one."""
    return (_split(servers[0]).hostname or "") if len(servers) == 1 else ""


async def close(client: Client, *, timeout: float = 1.0) -> None:
    """Send what is pending, and close; each takes half of `timeout` seconds at most. What fails now is let go."""
    if client.is_connected:
        with contextlib.suppress(TimeoutError, OSError, nats.errors.Error):
            async with asyncio.timeout(timeout / 2):
                await client.flush()
    if not client.is_closed:
        with contextlib.suppress(TimeoutError, OSError, nats.errors.Error):
            async with asyncio.timeout(timeout / 2):
                await client.close()


def refused_by(login: Credentials, urls: Sequence[str]) -> str:
    """What to look at where a login is refused, to follow on the words that it is; without the secret."""
    if not login and not any(map(carries_login, urls)):
        return ": it asks for one, and none was given: an nkey, a token or an API key, or user and password in the URL"
    shown = f"{login}" if login else "the login in the URL"
    return f": {shown} is wrong, expired or revoked, or no hub is there to let anybody in"


async def _abandon(client: Client) -> None:
    with contextlib.suppress(TimeoutError, OSError, nats.errors.Error):  # it never was connected: nothing to lose
        async with asyncio.timeout(1):
            await client.close()


def describe(error: BaseException) -> str:
    """One line for an error whose own text may be empty."""
    return str(error) or type(error).__name__


def without_password(url: str) -> str:
    """The URL as it may be shown: scheme, host and port, no user, no password, no query."""
    parts = _split(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def _split(url: str) -> SplitResult:
    return urlsplit(url if "://" in url else f"nats://{url}")
