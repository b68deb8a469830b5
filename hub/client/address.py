"""Where NATS is, how to log in there, and under which address others can reach this process."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from hub.errors import InvalidRequest
from hub.transport.login import Credentials, TokenSource, carries_login, from_environment, nkey_credentials
from hub.transport.tls import Tls

log = logging.getLogger("hub.client")

DEFAULT_NATS_PORT = 4222
DEFAULT_URL = f"nats://127.0.0.1:{DEFAULT_NATS_PORT}"


def urls_given(urls: str | Sequence[str] | None) -> list[str]:
    """The NATS servers as a list; from `NATS_URL` where none are given, else the one on this machine."""
    urls = urls if urls is not None else os.environ.get("NATS_URL") or DEFAULT_URL
    return [url.strip() for url in urls.split(",") if url.strip()] if isinstance(urls, str) else list(urls)


def tls_given(
    ca: str | os.PathLike[str] | None, cert: str | os.PathLike[str] | None, key: str | os.PathLike[str] | None
) -> Tls:
    """The files by which TLS is spoken with NATS; where none is given, those of `NATS_CA`, `NATS_CERT`, `NATS_KEY`."""
    if ca is None and cert is None and key is None:
        ca, cert, key = (os.environ.get(f"NATS_{name}") or None for name in ("CA", "CERT", "KEY"))
    ca, cert, key = (None if path is None else os.fspath(path) for path in (ca, cert, key))
    return Tls(ca=ca, cert=cert, key=key)


def credentials_given(
    nats_url: str | Sequence[str] | None,
    nkey: str | os.PathLike[str] | None,
    token: str | os.PathLike[str] | TokenSource | None,
    api_key: str | os.PathLike[str] | None,
    credentials: str | os.PathLike[str] | None,
) -> Credentials:
    """How to log in: by the one that is given; where none is, and no login in `nats_url`, by the environment.

    Raises:
        InvalidRequest: more than one way is given, or what it needs is not installed; `field` names it.
    """
    ways = {"nkey": nkey, "token": token, "api_key": api_key, "credentials": credentials}
    given = [name for name, value in ways.items() if value is not None]
    if nats_url is not None and any(map(carries_login, urls_given(nats_url))):
        given.insert(0, "nats_url")
    if len(given) > 1:
        raise InvalidRequest(f"{given[1]}: expected one way to log in, got {' and '.join(given)}", field=given[1])
    if given == ["nats_url"]:
        return Credentials()
    if nkey is not None:
        found = nkey_credentials(nkey)
    elif token is not None:
        found = _token_credentials(token, "token")
    elif api_key is not None:
        found = _token_credentials(api_key, "API key")
    elif credentials is not None:
        found = Credentials(credentials_file=os.path.expanduser(credentials))
    else:
        found = from_environment(os.environ)
        if found and any(map(carries_login, urls_given(None))):
            raise InvalidRequest(f"environment: expected one way to log in, got NATS_URL and {found}", field="nats_url")
    found.check()
    for complaint in found.complaints():
        log.warning("%s", complaint)
    return found


def _token_credentials(value: str | os.PathLike[str] | TokenSource, kind: str) -> Credentials:
    if isinstance(value, os.PathLike):
        return Credentials(token_file=os.path.expanduser(value), kind=kind)
    return Credentials(token=value, kind=kind)


async def local_address(urls: Sequence[str], *, timeout: float = 5.0) -> str | None:
    """The local address on the route to the first of the NATS servers that has one; None where none has.

    A UDP socket is connected, which picks the route and the address; nothing is sent.
    """
    for url in urls:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        try:
            async with asyncio.timeout(timeout):
                return await _address_towards(parts.hostname or "127.0.0.1", parts.port or DEFAULT_NATS_PORT)
        except (OSError, TimeoutError):
            continue  # no such name or no route; the connection to NATS, which comes next, will say so
    return None


async def _address_towards(host: str, port: int) -> str:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, port))
    try:
        address: str = transport.get_extra_info("sockname")[0]
    finally:
        transport.close()
    return address
