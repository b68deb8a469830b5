"""By which names an open hub may be asked for: those of this machine, which no page of strangers can have.

A page may come from a name that leads to 127.0.0.1 once it is loaded (DNS rebinding). To its browser the hub is then
the page's own origin, and the hub knows such a request by the name that it was asked for alone. Where who asks has to
prove it, that says nothing: no browser has what would prove it for that name.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from hub.errors import Forbidden
from hub.settings.model import ANY_ORIGIN, Http

_LOCAL: Final = "localhost"
_SHOWN: Final = 80


class Hosts:
    """The names.

    Args:
        settings: Where the hub listens, and whose pages may read what it answers: their names count, too.
    """

    def __init__(self, settings: Http) -> None:
        self._any = ANY_ORIGIN in settings.cors_origins
        named = (urlsplit(origin).hostname or "" for origin in settings.cors_origins)
        self._named = frozenset((settings.host.lower(), *named))

    def check(self, host: str | None) -> None:
        """Raise Forbidden where a request asks for another. One that names none is of no browser."""
        if host is None or self._any:
            return
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            name = ""
        if name in self._named or name == _LOCAL or name.endswith(f".{_LOCAL}") or _is_address(name):
            return
        raise Forbidden(
            f"host: expected an address, localhost, or the host of one of http.cors_origins, got {host[:_SHOWN]!r}: "
            "a hub that asks nobody who he is answers under no other name, since pages could make up any",
            field="host",
        )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
