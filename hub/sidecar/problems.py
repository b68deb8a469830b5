"""Errors as problem documents (RFC 9457), with the code, the words and the number that they have on NATS."""

from __future__ import annotations

from http import HTTPStatus
from math import ceil
from typing import Final

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from hub.errors import HubError, Unauthenticated
from hub.masking import mask
from hub.sidecar.replies import respond
from hub.wire.codec import encode

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 1
"""Seconds after which a request that was refused for want of room may be made again, where nobody can tell better."""

REALM: Final = "central-hub"
_EXPECTED: Final = (
    "login: expected a token or key that is good here, in `Authorization: Bearer` or `X-API-Key`, or such a certificate"
)
"""All that is told to who proves nothing: not what is wrong with what he came with."""

_NOT_NOW: Final = frozenset({429, 503})


class MethodNotAllowed(HubError):
    """The path is there, the method is not."""

    code = "method_not_allowed"
    status = 405


class Missing(Unauthenticated):
    """No credential came with the request."""

    def __init__(self) -> None:
        super().__init__("no credential came with the request")


class UnsupportedMediaType(HubError):
    """The body is said to be something else than JSON."""

    code = "unsupported_media_type"
    status = 415


class RequestTimeout(HubError):
    """The request did not arrive as a whole in the time that it has for that."""

    code = "request_timeout"
    status = 408
    retryable = True


class Problem(Struct, frozen=True, kw_only=True):
    """What was wrong, where, and whether trying again may help."""

    type: str
    """`urn:central-hub:error:` and the code."""
    title: str
    """The status in words."""
    status: int
    detail: str
    """One sentence, for people: what was wrong, where, what was expected."""
    instance: str
    """The path that was asked for, without what looks like a key."""
    code: str
    """Stable, for programs; the same as on NATS."""
    field: str | None
    """Path of the offending field or parameter, as in `tags[1]`."""
    retryable: bool
    """Whether the same request may succeed later without being changed."""
    retry_after: float | UnsetType = UNSET
    """Seconds after which it may; left out where nobody can tell."""


def document(error: HubError, path: str) -> bytes:
    """The encoded `Problem` of a request for `path`."""
    return encode(
        Problem(
            type=f"urn:central-hub:error:{error.code}",
            title=HTTPStatus(error.status).phrase,
            status=error.status,
            detail=error.message,
            instance=mask(path),
            code=error.code,
            field=error.field,
            retryable=error.retryable,
            retry_after=UNSET if error.retry_after is None else error.retry_after,
        )
    )


def refusal(error: HubError, path: str, headers: dict[str, str] | None = None) -> Response:
    """The response to a request for `path` that is refused, with more headers where there are any."""
    more = dict(headers or {})
    if error.status in _NOT_NOW:
        more["retry-after"] = str(RETRY_AFTER if error.retry_after is None else ceil(error.retry_after))
    if isinstance(error, RequestTimeout):
        more["connection"] = "close"
    return respond(document(error, path), error.status, MEDIA_TYPE, more)


def unproven(error: Unauthenticated, path: str) -> Response:
    """The response to a request for `path` of which nothing proves who makes it; by RFC 6750, section 3."""
    challenge = f'Bearer realm="{REALM}"'
    if not isinstance(error, Missing):
        challenge += ', error="invalid_token"'
    return refusal(Unauthenticated(_EXPECTED), path, {"www-authenticate": challenge})
