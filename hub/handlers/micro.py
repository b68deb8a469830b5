"""`$SRV.PING`, `$SRV.INFO` and `$SRV.STATS`: the hub as the NATS micro service `central-hub`, for tools of ADR-32.

Every replica answers for itself, whether all services are asked, those of its name, or it alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nats.aio.client import Client

from hub.handlers.endpoint import Endpoint
from hub.handlers.gate import Gate
from hub.handlers.inflight import InFlight
from hub.telemetry.meter import RequestMeter
from hub.telemetry.metrics import Metrics
from hub.version import __version__
from hub.wire import micro, subjects
from hub.wire.channel import CONTRACT_VERSION, Channel
from hub.wire.channels import CHANNELS
from hub.wire.codec import encode

_METADATA = {"contract": CONTRACT_VERSION}
_CHANNELS = {channel.pattern(): channel for channel in CHANNELS}


class Micro:
    """Answers for one replica.

    Args:
        hub_id: The id of the replica.
        started: Since when its figures count.
        metrics: Where the requests on each subject are counted; what is counted is what it answers.
    """

    def __init__(self, hub_id: str, started: datetime, metrics: Metrics) -> None:
        self._hub_id = hub_id
        self._started = started
        self._metrics = metrics
        self._ping = encode(micro.Ping(id=hub_id, version=__version__, metadata=_METADATA))

    def endpoints(self, client: Client, in_flight: InFlight, gate: Gate | None = None) -> Iterator[Endpoint]:
        """What answers, outside the queue group and counted for nobody: tools ask again and again."""
        for verb, respond in ((micro.PING, self.ping), (micro.INFO, self.info), (micro.STATS, self.stats)):
            for subject in subjects.micro(verb, micro.SERVICE_NAME, self._hub_id):
                yield Endpoint(
                    client,
                    subject,
                    respond,
                    in_flight=in_flight,
                    meter=RequestMeter(subject),
                    queue="",
                    gate=gate,
                )

    def ping(self, payload: bytes) -> bytes:
        """The encoded `Ping`."""
        return self._ping

    def info(self, payload: bytes) -> bytes:
        """The encoded `Info`."""
        infos = tuple(micro.endpoint_info(channel) for channel, _ in self._counted())
        return encode(micro.Info(id=self._hub_id, version=__version__, metadata=_METADATA, endpoints=infos))

    def stats(self, payload: bytes) -> bytes:
        """The encoded `Stats`."""
        figures = tuple(
            micro.endpoint_stats(
                channel,
                outcomes=meter.outcomes,
                errors=meter.errors,
                last_error=meter.last_error,
                seconds=meter.seconds,
            )
            for channel, meter in self._counted()
        )
        return encode(
            micro.Stats(
                id=self._hub_id, version=__version__, metadata=_METADATA, started=self._started, endpoints=figures
            )
        )

    def _counted(self) -> Iterator[tuple[Channel, RequestMeter]]:
        return ((_CHANNELS[meter.subject], meter) for meter in self._metrics.meters)
