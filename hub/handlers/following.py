"""What is told of single requests: a line at DEBUG, a line when one was slow, a span when tracing is on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import structlog

from hub.errors import StartupError
from hub.handlers.sparing import Sparing
from hub.handlers.traced import TracedBucket
from hub.settings import Settings
from hub.store.ports import Bucket
from hub.telemetry.request import RequestContext

if TYPE_CHECKING:
    from hub.telemetry.tracing import Tracing

log = structlog.get_logger(__name__)

_FLUSH_WITHIN = 1.0
"""A hub that has drained is to end soon, whatever the collector does."""


class Following:
    """Follows requests, as far as somebody wants to know of them.

    Args:
        debug: Whether to log every request.
        slow: Seconds from which on a request is logged as slow; 0 logs none.
        tracing: What makes spans; None makes none.

    Attributes:
        everything: Whether every request is followed, not only those that bring headers.
        slow: Seconds from which on a request is slow; infinite where none is.
    """

    def __init__(self, *, debug: bool = False, slow: float = 0.0, tracing: Tracing | None = None) -> None:
        self.everything = debug or tracing is not None
        self.slow = slow or math.inf
        self._debug = debug
        self._tracing = tracing
        self._sparing = Sparing()

    @classmethod
    def of(cls, settings: Settings, hub_id: str) -> Following:
        """What the settings ask for.

        Raises:
            StartupError: tracing is asked for and its libraries are not installed.
        """
        return cls(
            debug=settings.log.level == "debug",
            slow=settings.log.slow_request if settings.platform.performance_metrics else 0.0,
            tracing=_tracing(settings, hub_id) if settings.tracing.endpoint else None,
        )

    def traced(self, bucket: Bucket, name: str) -> Bucket:
        """The bucket, of that name, with a span around every write for a request; itself where none are made."""
        return bucket if self._tracing is None else TracedBucket(bucket, name, self._tracing)

    async def aclose(self, timeout: float) -> None:
        """Send the spans that wait off, for so many seconds and no more than one, and make no more."""
        if self._tracing is not None:
            await self._tracing.aclose(min(timeout, _FLUSH_WITHIN))

    def begin(self, request: RequestContext, subject: str, size: int) -> None:
        """A request on a subject arrived, with a payload of so many bytes; `end` must follow."""
        if self._tracing is not None:
            self._tracing.begin(request, subject, size)

    def end(
        self,
        request: RequestContext | None,
        subject: str,
        outcome: str,
        status: int,
        seconds: float,
        sizes: tuple[int, int],
        *,
        waited: bool = False,
    ) -> None:
        """A request was answered, within its context; without one where it only was slow.

        Args:
            request: Which.
            subject: On which subject.
            outcome: `ok`, or the code of the error.
            status: The HTTP-like number of the error; 0 for none.
            seconds: How long it took.
            sizes: Bytes of its payload and of the reply's.
            waited: Whether the caller may have asked to wait, so that it was not slow whatever it took.
        """
        if request is not None and request.span is not None and self._tracing is not None:
            self._tracing.end(request, outcome, status)
        if self._debug:
            log.debug("request", **_told(subject, outcome, seconds, sizes))
        if seconds >= self.slow and not waited and (omitted := self._sparing.take()) is not None:
            log.warning("slow request", **_told(subject, outcome, seconds, sizes), omitted_before=omitted)


def _told(subject: str, outcome: str, seconds: float, sizes: tuple[int, int]) -> dict[str, str | int | float]:
    return {
        "subject": subject,
        "outcome": outcome,
        "seconds": round(seconds, 6),
        "bytes_in": sizes[0],
        "bytes_out": sizes[1],
    }


def _tracing(settings: Settings, hub_id: str) -> Tracing:
    try:
        from hub.telemetry.tracing import Tracing  # slow to import, and not there without the extra
    except ModuleNotFoundError as error:
        raise StartupError(
            f"tracing.endpoint: spans need the extra `tracing`, of which {error.name} is missing: "
            "pip install 'central-hub[tracing]', or leave the endpoint out (OTEL_EXPORTER_OTLP_ENDPOINT sets it, too)"
        ) from None
    return Tracing(settings.tracing.endpoint, settings.tracing.ratio, hub_id=hub_id)
