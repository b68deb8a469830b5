"""`hub.metrics`: what `/metrics` tells, for those who live on NATS only; every replica answers for itself."""

from __future__ import annotations

from nats.aio.client import Client

from hub.errors import PayloadTooLarge
from hub.handlers.endpoint import Endpoint
from hub.handlers.following import Following
from hub.handlers.gate import Gate
from hub.handlers.inflight import InFlight
from hub.telemetry.metrics import Metrics
from hub.wire import subjects
from hub.wire.metrics import CONTENT_TYPE_HEADER, HUB_ID_HEADER


class MetricsText:
    """Answers with the metrics of one replica.

    Args:
        metrics: What is told.
        hub_id: Whose it is.
        max_bytes: The largest reply that the NATS server carries.
    """

    def __init__(self, metrics: Metrics, *, hub_id: str, max_bytes: int) -> None:
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._headers = {CONTENT_TYPE_HEADER: metrics.content_type, HUB_ID_HEADER: hub_id}

    def endpoint(self, client: Client, in_flight: InFlight, following: Following, gate: Gate | None = None) -> Endpoint:
        """What answers with it, outside the queue group."""
        meter = self._metrics.requests(subjects.METRICS)
        return Endpoint(
            client,
            subjects.METRICS,
            self.text,
            in_flight=in_flight,
            meter=meter,
            queue="",
            headers=self._headers,
            following=following,
            gate=gate,
        )

    def text(self, payload: bytes) -> bytes:
        """The metrics in Prometheus's text format, whatever the request says.

        Raises:
            PayloadTooLarge: it does not fit into a message. Half of it would look like a hub that lost its counters.
        """
        text = self._metrics.render()
        if len(text) > self._max_bytes:
            raise PayloadTooLarge(
                f"{subjects.METRICS}: expected a reply of at most {self._max_bytes} bytes, got {len(text)}: "
                "raise max_payload of the NATS server, or read /metrics over HTTP"
            )
        return text
