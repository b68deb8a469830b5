"""Responses, with the headers that all of them have, and `304` for who has it already."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

JSON: Final = "application/json"
SECURITY: Final = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
"""What every response says: it is what it says it is, it is of this moment, it shows nothing from elsewhere, and tells
nobody where one has been."""
STRICT_TRANSPORT: Final = "strict-transport-security"
HSTS: Final = "max-age=31536000"
"""For a year, browsers come to this host over TLS alone. Said over TLS alone, since they heed it nowhere else."""

_NOT_MODIFIED: Final = 304


def respond(
    body: bytes, status: int = 200, media_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Response:
    """A response with these bytes."""
    more = {**SECURITY, "content-type": media_type, **(headers or {})}
    return Response(body, status, headers=more)


def tagged(request: Request, response: Response) -> Response:
    """The response with a strong `ETag` of its bytes; without them where the caller says that it has these."""
    tag = f'"{blake2b(response.body, digest_size=12).hexdigest()}"'
    response.headers["etag"] = tag
    asked = request.headers.get("if-none-match")
    if asked is None or not _has(asked, tag):
        return response
    kept = {name: value for name, value in response.headers.items() if name not in ("content-length", "content-type")}
    return Response(status_code=_NOT_MODIFIED, headers=kept)


def _has(asked: str, tag: str) -> bool:
    """Whether a list of tags names this one. Weak ones count, as RFC 9110 has it for `If-None-Match`."""
    tags = (one.strip().removeprefix("W/") for one in asked.split(","))
    return any(one in (tag, "*") for one in tags)
