"""`hub.health.<service>`, told by the leader on every change and in rounds; `hub.health.hub` and such, by each hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import nats.errors
import structlog
from nats.aio.client import Client

from hub.core.condition import Condition
from hub.core.registry import Registry
from hub.core.reports import listed, report
from hub.handlers.clock import Clock
from hub.transport.loops import Beat, woken
from hub.wire import subjects
from hub.wire.codec import Decoder, encode
from hub.wire.health import GetHealth, HealthReport, InstanceHealth

log = structlog.get_logger(__name__)

_GATHER = 0.02
"""Seconds that changes are gathered for, so that a service that changes a hundred times at once is told of once."""
_BYTES_A_SECOND = 1 << 20
"""What the reports on one service may amount to: a large one in churn is told of less often, and then as it is."""
_BREATHE_EVERY = 64
"""Reports in a row after which others get their turn."""
_SPREAD = 50
"""The round over all services is spread over this many slices of the interval, to be a murmur and not a burst."""


@dataclass(slots=True)
class _Told:
    """What was last told of a part of the hub, and since when it is so."""

    condition: Condition
    since: datetime


class HealthAnswers:
    """Answers `hub.health`: how services are, from memory.

    Args:
        registry: What to report on.
        budget: Bytes that a list in a reply may take.
    """

    def __init__(self, registry: Registry, *, budget: int) -> None:
        self._registry = registry
        self._budget = budget
        self._decode = Decoder(GetHealth)

    def get(self, payload: bytes) -> bytes:
        """The encoded `HealthList`."""
        return listed(self._registry.catalog, self._decode(payload), budget=self._budget)


class HealthReporter:
    """Publishes health reports.

    Args:
        client: Where to publish.
        registry: What to report on.
        clock: Where to read the time.
        hub_id: The instance id under which this hub reports on itself and its parts.
        parts: How each part is, by the name under which it is reported on; `hub` is the hub itself.
        leads: Whether this hub speaks for the services; one of the replicas does.
        interval: Seconds between two reports on the same unchanged thing.
        max_bytes: The largest report.
    """

    def __init__(
        self,
        client: Client,
        registry: Registry,
        clock: Clock,
        *,
        hub_id: str,
        parts: Mapping[str, Callable[[], Condition]],
        leads: Callable[[], bool],
        interval: float,
        max_bytes: int,
    ) -> None:
        self._client = client
        self._registry = registry
        self._clock = clock
        self._hub_id = hub_id
        self._parts = parts
        self._leads = leads
        self._interval = interval
        self._max_bytes = max_bytes
        self._changed: dict[str, None] = {}
        self._not_before: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._told: dict[str, _Told] = {}

    @property
    def longest_pause(self) -> float:
        """Seconds that `tell_rounds` waits between two signs of life."""
        return self._interval / _SPREAD

    def notice(self, service: str) -> None:
        """The service has changed; say so soon."""
        self._changed[service] = None
        self._wake.set()

    async def tell_changes(self, beat: Beat) -> None:
        """Report on what changes, for ever."""
        while True:
            await woken(self._wake, beat)
            await asyncio.sleep(_GATHER)
            self._wake.clear()
            changed, self._changed = list(self._changed), {}
            if not self._leads():
                continue
            self._not_before = {name: at for name, at in self._not_before.items() if at > self._clock.now()}
            for number, name in enumerate(changed, start=1):
                if not number % _BREATHE_EVERY:
                    await asyncio.sleep(0)
                if name in self._not_before:
                    self._changed[name] = None
                    self._wake.set()
                else:
                    await self._tell(name)

    async def tell_rounds(self, beat: Beat) -> None:
        """Report on everything once per interval, for ever."""
        while True:
            beat()
            await self._tell_of_parts()
            names = list(self._registry.catalog.names) if self._leads() else []
            step = max(1, -(-len(names) // _SPREAD))
            for start in range(0, step * _SPREAD, step):
                for name in names[start : start + step]:
                    await self._tell(name)
                    await asyncio.sleep(0)  # a report on many instances takes its time
                await asyncio.sleep(self._interval / _SPREAD)
                beat()
                await self._tell_of_parts(only_if_changed=True)

    async def _tell(self, name: str) -> None:
        service = self._registry.catalog.services.get(name)
        if service is not None:
            payload = report(service, max_bytes=self._max_bytes)
            pause = len(payload) / _BYTES_A_SECOND
            if pause > _GATHER:
                self._not_before[name] = self._clock.now() + pause
            await self._publish(name, payload)

    async def _tell_of_parts(self, *, only_if_changed: bool = False) -> None:
        for part, look in self._parts.items():
            condition, told = look(), self._told.get(part)
            if told is None or told.condition != condition:
                same = told is not None and told.condition.status == condition.status
                since = told.since if told is not None and same else self._clock.wall()
                told = self._told[part] = _Told(condition, since)
                self._log(part, condition)
            elif only_if_changed:
                continue
            await self._publish(part, self._report(part, told))

    def _report(self, part: str, told: _Told) -> bytes:
        status, reason = told.condition
        own = InstanceHealth(instance_id=self._hub_id, status=status, reason=reason, since=told.since)
        revision = self._registry.catalog.revision
        return encode(HealthReport(service=part, status=status, revision=revision, instances=(own,), reason=reason))

    @staticmethod
    def _log(part: str, condition: Condition) -> None:
        if condition.well:
            log.info("part is well", part=part)
        else:
            log.warning("part is not well", part=part, status=condition.status, reason=condition.reason)

    async def _publish(self, component: str, payload: bytes) -> None:
        try:
            await self._client.publish(subjects.health(component), payload)
        except (nats.errors.Error, OSError) as error:
            log.debug("health report not sent", component=component, reason=str(error) or type(error).__name__)
