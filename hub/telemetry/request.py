"""The request that is being handled: its id and its trace, known to whatever happens on its behalf.

They live in a context variable, so that the tasks of a request inherit them, and nobody else does. The id is made when
somebody looks at it: most requests that bring none end without anybody having done so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

import msgspec
from msgspec import UNSET
from structlog.typing import EventDict, WrappedLogger

from hub.wire.correlation import (
    REQUEST_ID_HEADER,
    TRACEPARENT_HEADER,
    TRACESTATE_HEADER,
    is_request_id,
    new_request_id,
    traceparent_of,
    tracestate_of,
)
from hub.wire.event import CloudEvent
from hub.wire.roles import Caller

_current: ContextVar[RequestContext | None] = ContextVar("hub_request", default=None)
_caller: ContextVar[Caller | None] = ContextVar("hub_caller", default=None)
_REQUEST_ID = REQUEST_ID_HEADER.lower()


class RequestContext:
    """What travels with one request. In effect inside its `with` block, and in the tasks begun there.

    Attributes:
        named: Whether the reply names the request: because the caller did, or because it failed.
        changes: Whether it changes something; None where nobody has said so.
        traced: Whether the caller said which trace the request is part of; so does the reply then.
        traceparent: What is passed on as `traceparent`: the caller's, or that of the hub's own span below it.
        tracestate: What is passed on as `tracestate`.
        span: The hub's own span of the request, where there is one (see `tracing`).
    """

    __slots__ = ("_id", "_token", "changes", "named", "span", "traced", "traceparent", "tracestate")

    def __init__(self, request_id: str = "", traceparent: str = "", tracestate: str = "") -> None:
        self._id = request_id
        self.named = bool(request_id)
        self.changes: bool | None = None
        self.traced = bool(traceparent)
        self.traceparent = traceparent
        self.tracestate = tracestate
        self.span: object | None = None
        self._token: Token[RequestContext | None] | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str] | None) -> Self:
        """The context that the headers of a NATS or HTTP request tell of, in whatever case they are written.

        An id that is none is replaced by one of ours. A trace that is none is left out, as the standard asks.
        """
        if not headers:
            return cls()
        given = {name.lower(): value for name, value in headers.items()}
        request_id = given.get(_REQUEST_ID)
        if request_id is not None and not is_request_id(request_id):
            request_id = new_request_id()
        traceparent = traceparent_of(given.get(TRACEPARENT_HEADER, ""))
        tracestate = tracestate_of(given.get(TRACESTATE_HEADER, "")) if traceparent else ""
        return cls(request_id or "", traceparent, tracestate)

    @property
    def request_id(self) -> str:
        """The caller's id for the request, or one of ours from the first look on."""
        if not self._id:
            self._id = new_request_id()
        return self._id

    @property
    def known_id(self) -> str:
        """The id, where somebody was or will be told of it; else none."""
        return self._id

    def reply_headers(self, *, failed: bool = False) -> dict[str, str]:
        """What the reply says of the request: what the caller said; and, where it failed, by which id to ask for it."""
        headers: dict[str, str] = {}
        if self.named or failed:
            headers[REQUEST_ID_HEADER] = self.request_id
        if self.traced:
            headers[TRACEPARENT_HEADER] = self.traceparent
            if self.tracestate:
                headers[TRACESTATE_HEADER] = self.tracestate
        return headers

    def enter(self) -> None:
        """Come into effect, until `leave`; what `with` does, where a `with` is in the way."""
        self._token = _current.set(self)

    def leave(self) -> None:
        """Be in effect no more, save in the tasks begun meanwhile."""
        if self._token is not None:
            _current.reset(self._token)
            self._token = None

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


def current_request() -> RequestContext | None:
    """The request on whose behalf this runs; None in what the hub does of its own accord."""
    return _current.get()


def note_change(so: bool) -> None:
    """Say whether the request that is being handled changes something, or asks for what is so already, or for a trial.

    Of several that are said, one that it does holds.
    """
    request = _current.get()
    if request is not None and not request.changes:
        request.changes = so


def current_caller() -> Caller | None:
    """Who was proven to have asked for what runs now; None where nobody asked, or identities are not proven."""
    return _caller.get()


@contextmanager
def on_behalf_of(caller: Caller | None) -> Iterator[None]:
    """Let what runs within, and the tasks begun there, know who asked for it."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def add_request(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The structlog processor: the id of the request and of its trace, and who asked, in every line logged for it."""
    caller = _caller.get()
    if caller is not None:
        event.setdefault("caller", str(caller))
    request = _current.get()
    if request is not None:
        event.setdefault("request_id", request.request_id)
        if request.traceparent:
            event.setdefault("trace_id", request.traceparent[3:35])
    return event


def with_trace(event: CloudEvent) -> CloudEvent:
    """The event with the trace of the request that brought it about, where it has one."""
    request = _current.get()
    if request is None or not request.traceparent:
        return event
    return msgspec.structs.replace(event, traceparent=request.traceparent, tracestate=request.tracestate or UNSET)
