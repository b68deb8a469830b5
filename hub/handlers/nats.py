"""How NATS serves this hub: looked at over the very connection that everything else goes over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from nats.aio.client import Client

from hub.core.condition import WELL, Condition, critical, together, warning
from hub.core.storage import Held, judge
from hub.core.thresholds import Lasting, Recent, Settled, Unchanged
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.handlers.hearing import Hearing
from hub.settings import Settings
from hub.store.api import JetStreamApi, StreamInfo
from hub.store.streams import Spec, Specs, ensure, is_silent, replicate, wanted_replicas
from hub.store.watcher import KeyWatch
from hub.transport.loops import BOUND, Beat
from hub.transport.requests import Requester

log = structlog.get_logger(__name__)

SILENT = 5.0
"""Seconds without a sign of life of a watch, whose server gives one twice a second, that are worth telling."""
BEHIND = 10.0
"""Seconds that a watch may be behind its stream before that is told."""
_AGAIN = 1.0
"""Seconds between two looks, at most, while something is wrong."""
_SILENT_FOR = 15.0
"""Seconds in which nothing is written to a stream that does not send its changes on, after which no restore is at work:
each of its writes has less."""
_TOLD_FOR = 60.0
"""Seconds that dropped messages are told for."""


class StreamFigures(NamedTuple):
    """What a stream holds."""

    messages: int
    bytes: int
    consumers: int


class NatsCheck:
    """Looks at NATS again and again, and knows at any moment what was found.

    Args:
        client: The hub's connection.
        hearing: Sends itself messages over it.
        requester: An open requester on it.
        specs: The streams that the hub needs. They are replicated when that could not be had at the start.
        watches: What follows the hub's buckets.
        clock: Where to read the time.
        settings: On how many servers to keep each stream; how often to look, and for how long.

    Attributes:
        figures: What each stream held when it was looked at last.
        slow_consumers: How often NATS or the library dropped messages because this hub was too slow.
    """

    def __init__(
        self,
        client: Client,
        hearing: Hearing,
        requester: Requester,
        specs: Specs,
        watches: Sequence[KeyWatch],
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._client = client
        self._hearing = hearing
        self._api = JetStreamApi(requester, timeout=settings.health.dependency_timeout)
        self._requester = requester
        self._specs = specs
        self._replicas = settings.nats.replicas
        self._watches = watches
        self._clock = clock
        self._interval = settings.health.dependency_interval
        self._timeout = settings.health.dependency_timeout
        self._settled = Settled()
        self._dropped = Recent(_TOLD_FOR)
        self._behind = {watch.bucket: Lasting(BEHIND) for watch in watches}
        self._lagging: list[str] = []
        self._still: dict[str, Unchanged] = {}
        self.figures: dict[str, StreamFigures] = {}
        self.slow_consumers = 0

    @property
    def bound(self) -> float:
        """Seconds after which the loop that looks counts as stuck."""
        return self._interval + 2 * self._timeout + 2 * BOUND

    @property
    def condition(self) -> Condition:
        """How NATS serves the hub. That the connection or a watch is lost is known at once, all else by looking."""
        if not self._client.is_connected:
            return critical("the connection is lost; reconnecting")
        found = [self._settled.condition or WELL]
        for watch in self._watches:
            if not watch.synced:
                found.append(warning(f"changes of {watch.bucket} cannot be followed; reading it again"))
            elif watch.silence > SILENT:
                found.append(warning(f"nothing was heard of {watch.bucket} for more than {SILENT:g} s"))
        found += [warning(f"{bucket} is followed with a delay") for bucket in self._lagging]
        if self._dropped.peak(self._clock.now()):
            found.append(warning("messages were dropped, the hub was too slow"))
        return together(found)

    @property
    def round_trip(self) -> float | None:
        """Seconds that the hub's newest message to itself took; None before there was one."""
        return self._hearing.round_trip

    @property
    def _wanted(self) -> int:
        """On how many servers each stream should be kept, as far as servers are known now."""
        return wanted_replicas(self._replicas, servers=len(self._client.servers))

    @property
    def reconnects(self) -> int:
        """How often the connection was lost and came back."""
        return int(self._client.stats["reconnects"])

    def labelled(self) -> dict[str, Callable[[], Mapping[str, float]]]:
        """The metrics with a label, by their name in the catalogue."""
        figures, watches = self.figures, self._watches
        return {
            "hub_stream_messages": lambda: {stream: each.messages for stream, each in figures.items()},
            "hub_stream_bytes": lambda: {stream: each.bytes for stream, each in figures.items()},
            "hub_stream_consumers": lambda: {stream: each.consumers for stream, each in figures.items()},
            "hub_watch_lag_revisions": lambda: {watch.bucket: watch.lag for watch in watches},
            "hub_watch_silence_seconds": lambda: {watch.bucket: watch.silence for watch in watches},
        }

    def plain(self) -> dict[str, Callable[[], float]]:
        """The metrics without one."""
        return {
            "hub_nats_round_trip_seconds": lambda: self.round_trip or 0.0,
            "hub_nats_reconnects_total": lambda: self.reconnects,
            "hub_nats_slow_consumers_total": lambda: self.slow_consumers,
        }

    def describe(self) -> dict[str, Any]:
        """What an operator wants to know of it."""
        version = self._client.connected_server_version
        return {
            "server_version": f"{version.major}.{version.minor}.{version.patch}",
            "reconnects": self.reconnects,
            "slow_consumers": self.slow_consumers,
            "watch_lag": {watch.bucket: watch.lag for watch in self._watches},
        }

    def dropped(self) -> None:
        """Messages were dropped because this hub was too slow."""
        self.slow_consumers += 1
        self._dropped.note(1.0, self._clock.now())

    async def watch(self, beat: Beat) -> None:
        """Look again and again, for ever."""
        while True:
            beat()
            await self.look()
            beat()
            await asyncio.sleep(self._interval if self.condition.well else min(self._interval, _AGAIN))

    async def look(self) -> None:
        """Look once. What is wrong is in `condition`. While the connection is gone there is nothing to be seen."""
        if not self._client.is_connected:
            return
        now = self._clock.now()
        self._lagging = [watch.bucket for watch in self._watches if self._behind[watch.bucket].take(watch.lag > 0, now)]
        self._settled.take(await self._find())

    async def _find(self) -> Condition:
        if self._hearing.silence > self._timeout:
            return critical(f"NATS has not echoed for more than {self._timeout:g} s")
        try:
            await self._api.account()
        except HubError as error:
            return critical(error.message)
        streams, wanted = [spec.stream for spec in self._specs], self._wanted
        found = await asyncio.gather(*[self._held(spec) for spec in self._specs])
        if any(isinstance(held, Held) and held.configured < wanted for held in found):
            await replicate(self._requester, self._specs, wanted)
        return judge(dict(zip(streams, found, strict=True)), wanted)

    async def _held(self, spec: Spec) -> Held | str:
        try:
            info = await self._api.stream(spec.stream)
        except HubError as error:
            return error.message
        state = info.state
        self.figures[spec.stream] = StreamFigures(state.messages, state.bytes, state.consumer_count)
        if not is_silent(spec, info.config):
            self._still.pop(spec.stream, None)
        elif self._still.setdefault(spec.stream, Unchanged(_SILENT_FOR)).take(state.last_seq, self._clock.now()):
            await self._have_sent_on(spec)
        return _held(info, is_silent=spec.stream in self._still)

    async def _have_sent_on(self, spec: Spec) -> None:
        try:
            await ensure(self._requester, spec, patience=0)
        except HubError as error:
            log.warning("stream does not send its changes on, and could not be mended", reason=error.message)
        else:
            log.warning(
                "stream sends its changes on again; if a restore was ended half way, restore again with --force",
                stream=spec.stream,
            )


def _held(info: StreamInfo, *, is_silent: bool) -> Held:
    configured = int(info.config.get("num_replicas", 1))
    if info.cluster is None:
        return Held(configured, is_silent=is_silent)
    others = [replica for replica in info.cluster.replicas or () if replica.current and not replica.offline]
    return Held(configured, 1 + len(others), bool(info.cluster.leader), is_silent)
