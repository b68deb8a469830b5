"""What the client's requests to the hub tell of themselves: an id, and the trace that the service is in."""

from __future__ import annotations

import sys

from hub.wire.correlation import (
    REQUEST_ID_HEADER,
    TRACEPARENT_HEADER,
    TRACESTATE_HEADER,
    new_request_id,
    traceparent,
)

_OPENTELEMETRY = "opentelemetry.trace"


def request_headers() -> dict[str, str]:
    """The headers of a request that is about to be sent."""
    headers = {REQUEST_ID_HEADER: new_request_id()}
    # Who is in a trace has imported OpenTelemetry already; nobody else shall have to, nor wait for it.
    api = sys.modules.get(_OPENTELEMETRY)
    if api is not None:
        span = api.get_current_span().get_span_context()
        if span.is_valid:
            headers[TRACEPARENT_HEADER] = traceparent(span.trace_id, span.span_id, span.trace_flags)
            if span.trace_state:
                headers[TRACESTATE_HEADER] = span.trace_state.to_header()
    return headers
