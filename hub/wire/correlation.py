"""Headers that say what belongs together: the id of a request, and the trace it is part of (W3C Trace Context)."""

from __future__ import annotations

import re
from typing import Final
from uuid import uuid4

REQUEST_ID_HEADER: Final = "X-Request-Id"
TRACEPARENT_HEADER: Final = "traceparent"
TRACESTATE_HEADER: Final = "tracestate"

MAX_REQUEST_ID: Final = 128
MAX_TRACESTATE: Final = 512
"""Characters that the standard asks everybody to pass on. A longer one may be left out, and is: replies have limits."""

_REQUEST_ID = re.compile(rf"[!-~]{{1,{MAX_REQUEST_ID}}}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(rf"[ -~]{{1,{MAX_TRACESTATE}}}")


def new_request_id() -> str:
    """An id that no other request has."""
    return uuid4().hex


def is_request_id(text: str) -> bool:
    """Whether it is 1 to 128 visible ASCII characters."""
    return _REQUEST_ID.fullmatch(text) is not None


def traceparent_of(text: str) -> str:
    """The `traceparent` to pass on for one received; empty where it is none.

    What a version later than ours adds behind the part that we know is left out.
    """
    if (found := _TRACEPARENT.match(text)) is None or (len(text) > found.end() and not _has_more(text, found.end())):
        return ""
    return f"00{found[0][2:]}"


def tracestate_of(text: str) -> str:
    """The `tracestate` to pass on for one received; empty where it cannot be."""
    return text if _TRACESTATE.fullmatch(text) else ""


def traceparent(trace_id: int, span_id: int, flags: int) -> str:
    """The `traceparent` of a span."""
    return f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"


def _has_more(text: str, end: int) -> bool:
    return text[end] == "-" and not text.startswith("00")
