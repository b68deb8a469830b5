"""Error replies: the body, the headers, and the way back to an exception."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from hub import errors
from hub.wire.correlation import REQUEST_ID_HEADER

CODE_HEADER: Final = "Nats-Service-Error-Code"
TEXT_HEADER: Final = "Nats-Service-Error"
RETRY_HEADER: Final = "Retry-After"


class Fault(Struct, frozen=True, kw_only=True):
    """What was wrong, where, and whether trying again may help."""

    code: str
    """Stable, for programs."""
    message: str
    """One sentence, for people: what was wrong, where, what was expected."""
    field: str | None = None
    """Path of the offending field in the request, as in `tags[1]`."""
    retryable: bool = False
    """Whether the same request may succeed later without being changed."""
    retry_after: float | UnsetType = UNSET
    """Seconds after which it may; left out where nobody can tell."""


class ErrorReply(Struct, frozen=True, kw_only=True):
    """The body of an error reply."""

    error: Fault


_decoder = msgspec.json.Decoder(ErrorReply)


def encode(error: errors.HubError) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of the reply that tells a caller of `error`."""
    fault = Fault(
        code=error.code,
        message=error.message,
        field=error.field,
        retryable=error.retryable,
        retry_after=UNSET if error.retry_after is None else error.retry_after,
    )
    headers = {CODE_HEADER: str(error.status), TEXT_HEADER: " ".join(error.message.split())[:512]}
    if error.retry_after is not None:
        headers[RETRY_HEADER] = str(ceil(error.retry_after))
    return msgspec.json.encode(ErrorReply(error=fault)), headers


def raise_for(payload: bytes, headers: Mapping[str, str] | None) -> None:
    """Raise the class that belongs to an error reply; do nothing for a success reply.

    Raises:
        HubError: the reply's error, of the class of its code; the base class for a code this version does not know. It
            carries the request id of the reply.
    """
    if not headers or CODE_HEADER not in headers:
        return
    try:
        fault = _decoder.decode(payload).error
    except msgspec.MsgspecError:
        error = errors.HubError(headers.get(TEXT_HEADER) or "the hub answered with an unreadable error")
    else:
        after = None if fault.retry_after is UNSET else fault.retry_after
        error = errors.BY_CODE.get(fault.code, errors.HubError)(fault.message, field=fault.field, retry_after=after)
    error.request_id = headers.get(REQUEST_ID_HEADER, "")
    raise error
