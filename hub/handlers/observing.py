"""Observing who discovers whom: by beats, which every replica hears, and by requests, which one replica answers.

What came by a request the others are told on `hub.observed`, at most once a second and a bounded number at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.core.observations import Observations, Untold
from hub.core.registry import Registry
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.telemetry.request import current_caller
from hub.transport.direct import subscribe_direct
from hub.transport.loops import Beat
from hub.wire import subjects
from hub.wire.codec import Decoder, encode
from hub.wire.graph import MAX_OBSERVED, SERVICE_HEADER, Observed, ObservedEdge
from hub.wire.names import is_service_name
from hub.wire.roles import Caller

log = structlog.get_logger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two messages to the other replicas."""


class Observing:
    """Remembers the edges that are seen.

    Args:
        client: Where to hear and to tell.
        registry: Who is registered; the beats of others count for nothing.
        observations: Where to remember.
        clock: Where to read the time.
        target_of: The service that the payload of a discovery is about.
        hub_id: Which replica this is.
    """

    def __init__(
        self,
        client: Client,
        registry: Registry,
        observations: Observations,
        clock: Clock,
        target_of: Callable[[bytes], str],
        *,
        hub_id: str,
    ) -> None:
        self._client = client
        self._registry = registry
        self._observations = observations
        self._clock = clock
        self._target_of = target_of
        self._hub_id = hub_id
        self._untold = Untold()
        self._decode = Decoder(Observed)

    async def start(self) -> None:
        """Begin to hear the other replicas, for as long as the connection is open."""
        await subscribe_direct(self._client, subjects.OBSERVED, self._on_observed)

    def beaten(self, key: str, uses: tuple[str, ...]) -> None:
        """An instance says with a beat which services it has discovered of late."""
        entry = self._registry.catalog.entries.get(key)
        if entry is not None:
            now = self._clock.now()
            for target in uses:
                self._observations.see(entry.record.name, target, now)

    def asked(self, payload: bytes, headers: Mapping[str, str]) -> None:
        """A discovery came with headers. Raises as answering it would. Who was proven to ask is believed, else they."""
        source = _source(current_caller(), headers)
        if not is_service_name(source) or subjects.is_reserved(source):
            return
        target = self._target_of(payload)
        if target and target != source:
            self._observations.see(source, target, self._clock.now())
            self._untold.see(source, target)

    async def tell(self, beat: Beat) -> None:
        """Tell the other replicas what only this one sees, for ever."""
        while True:
            beat()
            await asyncio.sleep(INTERVAL)
            if due := self._untold.due(self._clock.now(), MAX_OBSERVED):
                edges = tuple(ObservedEdge(source=source, target=target) for source, target in due)
                await self._publish(Observed(edges=edges, by=self._hub_id))

    async def _publish(self, news: Observed) -> None:
        try:
            await self._client.publish(subjects.OBSERVED, encode(news))
        except (nats.errors.Error, OSError) as error:
            log.debug("observed edges not told", edges=len(news.edges), reason=str(error) or type(error).__name__)

    async def _on_observed(self, message: Msg) -> None:
        try:
            news = self._decode(message.data)
        except HubError as error:
            log.debug("observed edges not understood", code=error.code, reason=error.message)
            return
        if news.by == self._hub_id:
            return
        now = self._clock.now()
        for edge in news.edges:
            self._observations.see(edge.source, edge.target, now)


def _source(caller: Caller | None, headers: Mapping[str, str]) -> str:
    """The service that asks; empty where it is none."""
    if caller is None:
        return headers.get(SERVICE_HEADER, "")
    return caller.name if caller.role == "service" else ""
