"""Whether identities are proven, decided by what was set and by who can reach the hub."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final, Literal
from urllib.parse import urlsplit

from hub.errors import SettingsError
from hub.settings.model import Settings

Mode = Literal["open", "enforced"]
"""Whoever reaches it may do everything; or each is who he proves to be, and may do what is his."""

_LOCALHOST: Final = "localhost"


def mode_of(settings: Settings, *, embedded: bool) -> Mode:
    """How the hub is to run: `auto` is open where nobody but this machine can reach it, else enforced.

    Args:
        settings: How to run.
        embedded: Whether it runs a nats-server of its own.

    Raises:
        SettingsError: it is to be open, and others can reach it; names where, and what to do.
    """
    wanted = settings.access.mode
    if wanted == "enforced":
        return "enforced"
    exposed = next(_exposed(settings, embedded=embedded), None)
    if exposed is None:
        return "open"
    if wanted == "auto":
        return "enforced"
    key, what, remedy = exposed
    raise SettingsError(
        f'access.mode: expected "enforced" or "auto", got "open": {what}, and whoever reaches it could do everything. '
        f'Set access.mode = "enforced" (HUB_ACCESS_MODE, `hub up --secure`), or {remedy} ({key})',
        field="access.mode",
    )


def _exposed(settings: Settings, *, embedded: bool) -> Iterator[tuple[str, str, str]]:
    """Each way in that is open to other machines: its setting, what it is, and how to close it."""
    if embedded:
        if not is_loopback(settings.nats.host):
            yield "nats.host", f"NATS listens on {settings.nats.host}", "have it listen on 127.0.0.1"
    else:
        for url in settings.nats.url:
            host = urlsplit(url).hostname or ""
            if not is_loopback(host):
                yield "nats.url", f"NATS is at {host}, which other machines reach", "work on a NATS on this machine"
    if not is_loopback(settings.http.host):
        yield "http.host", f"HTTP listens on {settings.http.host}", "have it listen on 127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches that address."""
    if host.lower() == _LOCALHOST:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
