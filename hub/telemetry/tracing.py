"""Spans of requests, exported by OTLP over HTTP. The only module that knows OpenTelemetry, of the extra `tracing`.

It is imported only where tracing is configured, and whatever becomes of the spans, requests are answered the same:
spans wait in a bounded queue for a thread of their own, and those that find it full are dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Final, cast

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hub.errors import HubError
from hub.telemetry.meter import OK
from hub.telemetry.request import RequestContext, current_request
from hub.version import __version__
from hub.wire.correlation import TRACEPARENT_HEADER, TRACESTATE_HEADER, traceparent

log = structlog.get_logger(__name__)

Attributes = Mapping[str, str | int]

_PATH: Final = "/v1/traces"
_COMPLAIN_EVERY: Final = 60.0
_SERVER_FAULT: Final = 500


class Tracing:
    """Makes spans and exports them.

    Args:
        endpoint: The base URL of the collector.
        ratio: The share of requests that are traced where the caller has not decided it, 0 to 1.
        hub_id: Which replica this is.
    """

    def __init__(self, endpoint: str, ratio: float, *, hub_id: str) -> None:
        about = {"service.name": "central-hub", "service.version": __version__, "service.instance.id": hub_id}
        self._complaints = _Complaints(endpoint)
        self._exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource.create(about),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("central-hub", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, request: RequestContext, subject: str, size: int) -> None:
        """Begin the span of a request, below that of its caller where there is one; `end` ends it."""
        span = self._tracer.start_span(
            subject,
            context=self._context_of(request),
            kind=SpanKind.SERVER,
            attributes={
                "messaging.system": "nats",
                "messaging.operation.type": "process",
                "messaging.destination.name": subject,
                "messaging.message.body.size": size,
            },
        )
        own = span.get_span_context()
        request.span = span
        if not own.is_valid:
            return  # OTEL_SDK_DISABLED: what came is passed on as it is
        request.traceparent = traceparent(own.trace_id, own.span_id, own.trace_flags)
        request.tracestate = own.trace_state.to_header()

    def end(self, request: RequestContext, outcome: str, status: int) -> None:
        """End the span of a request.

        Args:
            request: Which; `begin` has begun its span.
            outcome: `ok`, or the code of the error.
            status: The HTTP-like number of the error; 0 for none.
        """
        span = cast("Span", request.span)
        if span.is_recording():
            span.set_attribute("hub.outcome", outcome)
            span.set_attribute("hub.request_id", request.request_id)
            if outcome != OK:
                _fail(span, outcome, status)
        span.end()

    @contextlib.contextmanager
    def within(self, name: str, attributes: Attributes) -> Iterator[None]:
        """A span for a part of the current request; none where there is no request."""
        request = current_request()
        if request is None or request.span is None:
            yield
            return
        above = set_span_in_context(cast("Span", request.span), Context())
        span = self._tracer.start_span(name, context=above, kind=SpanKind.CLIENT, attributes=attributes)
        try:
            yield
        except HubError as error:
            _fail(span, error.code, error.status)
            raise
        finally:
            span.end()

    async def aclose(self, timeout: float) -> None:
        """Export what waits, for so many seconds at most, and stop. What is left then is lost."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # A daemon, since a collector that does not answer must not keep the process from ending.
        threading.Thread(target=shut_down, name="tracing-shutdown", daemon=True).start()
        try:
            async with asyncio.timeout(timeout):
                await done.wait()
        except TimeoutError:
            log.warning("spans left unexported", reason=f"the collector did not take them within {timeout:.1f} s")
        finally:
            self._complaints.close()
        if not done.is_set():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # ends its waiting between attempts

    def _context_of(self, request: RequestContext) -> Context:
        if not request.traceparent:
            return Context()
        carrier = {TRACEPARENT_HEADER: request.traceparent, TRACESTATE_HEADER: request.tracestate}
        return self._propagator.extract(carrier, Context())


class _Complaints(logging.Handler):
    """Takes what the exporter says of its troubles, which may be much, and says one thing a minute.

    The thread that exports calls it.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__(logging.WARNING)
        self._endpoint = endpoint
        self._next = 0.0
        self._omitted = 0
        self._logger = logging.getLogger("opentelemetry")
        self._propagated = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, or count it."""
        now = monotonic()
        if now < self._next:
            self._omitted += 1
            return
        self._next = now + _COMPLAIN_EVERY
        omitted, self._omitted = self._omitted, 0
        log.warning("tracing has trouble", reason=record.getMessage(), endpoint=self._endpoint, omitted_before=omitted)

    def close(self) -> None:
        """Leave logging as it was found."""
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated
        super().close()


def _fail(span: Span, code: str, status: int) -> None:
    """The span failed. As a caller's own mistake is no error of the server's, only the hub's are marked as such."""
    span.set_attribute("error.type", code)
    if status >= _SERVER_FAULT:
        span.set_status(Status(StatusCode.ERROR))
