"""What HTTP requests bring to prove who makes them: one token or key in a header, or the certificate of the connection.

Nothing is read from the query, which stands in the logs of everything on the way, and there are no cookies: what a
browser sends by itself is a certificate at most.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request

from hub.errors import InvalidRequest, Unauthenticated
from hub.identity.proof import Presented

KEY_HEADER: Final = "x-api-key"
CERTIFICATE: Final = "certificate"
"""Where the state of a request has the certificate (PEM) that TLS has verified."""
LARGEST: Final = 8 * 1024
"""Characters of a token or a key."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""As RFC 6750 has it."""


def presented(request: Request) -> Presented | None:
    """What came with a request; None where nothing did.

    A token or a key is what the request says; only where it says nothing, the certificate of its connection counts.

    Raises:
        InvalidRequest: several of them, of which none could be preferred.
        Unauthenticated: what is there cannot be one, and nobody need look at it.
    """
    headers = request.headers
    tokens, keys = headers.getlist("authorization"), headers.getlist(KEY_HEADER)
    if len(tokens) + len(keys) > 1:
        raise InvalidRequest("login: expected one token or key, got several: `Authorization` or `X-API-Key`, once")
    if tokens:
        return Presented(via="http", token=_bearer(tokens[0]), host=peer(request))
    if keys:
        return Presented(via="http", token=_checked(keys[0]), host=peer(request))
    certificate = request.scope.get("state", {}).get(CERTIFICATE)
    if certificate is None:
        return None
    return Presented(via="http", certificate=certificate, host=peer(request))


def peer(request: Request) -> str:
    """The address that a request came from, as the connection has it, whatever its headers say."""
    return "" if request.client is None else request.client.host


def _bearer(value: str) -> str:
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("authorization: expected `Bearer` and a token or key, got another scheme")
    return _checked(token)


def _checked(token: str) -> str:
    bare = token.strip(" ")
    if len(bare) > LARGEST or not _TOKEN.fullmatch(bare):
        raise Unauthenticated(f"login: expected a token or key of at most {LARGEST} characters, got something else")
    return bare
