"""CORS: whose pages a browser lets read what is answered. Nobody's, unless it is set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hub.settings.model import ANY_ORIGIN, Http
from hub.sidecar.credentials import KEY_HEADER
from hub.sidecar.row import Row
from hub.wire.correlation import REQUEST_ID_HEADER, TRACEPARENT_HEADER, TRACESTATE_HEADER

REMEMBERED: Final = 600
"""Seconds for which a browser remembers what it was told of a path."""
_ALLOW_ORIGIN: Final = "access-control-allow-origin"
_ALLOW_METHODS: Final = "access-control-allow-methods"
_SHOWN: Final = ", ".join(("etag", "hub-revision", "link", "retry-after", REQUEST_ID_HEADER.lower()))
"""Headers of an answer that a page may read, beside those that it may read anyway."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_PAGE: Final = frozenset({"same-origin", "none"})


class Origins:
    """Who may.

    Args:
        named: The origins, as browsers send them; `*` for all.
        credentials: Whether they may send credentials along.
    """

    def __init__(self, named: Iterable[str], *, credentials: bool = False) -> None:
        self._named = frozenset(named)
        self._credentials = credentials

    def __bool__(self) -> bool:
        """Whether there is anybody."""
        return bool(self._named)

    @classmethod
    def of(cls, settings: Http) -> Origins:
        """Those that are set."""
        return cls(settings.cors_origins, credentials=settings.cors_credentials)

    def asks(self, request: Request) -> bool:
        """Whether a browser asks, for a page that may, what it may send."""
        headers = request.headers
        asked = request.method == "OPTIONS" and "access-control-request-method" in headers
        return asked and self._allowed(headers.get("origin")) is not None

    def strangers(self, request: Request) -> bool:
        """Whether a page that is none of ours, nor of an origin that may, has its browser change something.

        A browser comes with what it has by itself, a certificate or the place in the network where it runs, whichever
        page sends it. It says which one that is, and whether the page is of where it is sent.
        """
        headers = request.headers
        origin = headers.get("origin")
        if origin is None or request.method in _SAFE or self._allowed(origin) is not None:
            return False
        if "authorization" in headers or KEY_HEADER in headers:  # no browser sends these by itself
            return False
        if headers.get("sec-fetch-site") in _OWN_PAGE:
            return False
        return origin.partition("://")[2] != headers.get("host")

    def tell(self, origin: str | None, response: Response) -> None:
        """Add what the browser has to know. Without any of it, it lets the page read nothing."""
        headers = response.headers
        allowed = self._allowed(origin)
        if allowed != ANY_ORIGIN:
            headers["vary"] = "origin"  # for whoever keeps answers: this one is for this origin
        if allowed is None:
            return
        headers[_ALLOW_ORIGIN] = allowed
        if self._credentials:
            headers["access-control-allow-credentials"] = "true"
        if _ALLOW_METHODS not in headers:
            headers["access-control-expose-headers"] = _SHOWN

    def _allowed(self, origin: str | None) -> str | None:
        """What to say to a page of this origin; None where it may not."""
        if ANY_ORIGIN in self._named:
            return ANY_ORIGIN
        return origin if origin in self._named else None


NOBODY: Final = Origins(())


def preflight(rows: Iterable[Row], *, login: bool = False) -> dict[str, str]:
    """What may be sent to a path of these rows, with a login where one is asked for."""
    rows = list(rows)
    headers = [REQUEST_ID_HEADER.lower(), TRACEPARENT_HEADER, TRACESTATE_HEADER]
    if login:
        headers += ["authorization", KEY_HEADER]
    if any(row.body is not None for row in rows):
        headers.append("content-type")
    if any(row.conditional for row in rows):
        headers.append("if-none-match")
    return {
        _ALLOW_METHODS: ", ".join(sorted({row.method for row in rows})),
        "access-control-allow-headers": ", ".join(sorted(headers)),
        "access-control-max-age": str(REMEMBERED),
    }
