"""The sweep: lets time pass for the registry, and, on the replica that leads, writes down what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import nats.errors
import structlog
from nats.aio.client import Client

from hub.core.answers import Answers
from hub.core.happenings import happened
from hub.core.registry import Registry, Write
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.store.events import EventLog
from hub.store.ports import Bucket, RevisionConflict
from hub.telemetry.metrics import Metrics
from hub.transport.loops import Beat
from hub.wire import subjects
from hub.wire.codec import encode
from hub.wire.names import CRITICAL, is_instance_id, is_service_name

log = structlog.get_logger(__name__)

TICK = 0.1
"""Seconds between two looks at the time; a death is noticed up to this much late."""
_WRITES_AT_ONCE = 64
_PAUSE_AFTER_FAILURE = 0.5


class Term(Protocol):
    """Whether this hub leads. Asked right before each write, since a lease may run out while we were not looking."""

    @property
    def held(self) -> bool:
        """Whether it leads at this moment."""


class Sweep:
    """Every replica finds who is critical; the leader alone writes it, which tells the caches, and removes the dead.

    `unbelieved` tells the services whose instances fail checks that are not believed yet, and so are kept on trust.
    """

    def __init__(
        self,
        client: Client,
        registry: Registry,
        answers: Answers,
        bucket: Bucket,
        events: EventLog,
        clock: Clock,
        metrics: Metrics,
        term: Term,
        *,
        unbelieved: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._client = client
        self._registry = registry
        self._answers = answers
        self._bucket = bucket
        self._events = events
        self._clock = clock
        self._metrics = metrics
        self._term = term
        self._unbelieved = unbelieved
        self._wake = asyncio.Event()

    def hurry(self) -> None:
        """Something changed that the leader should write now, not at the next tick."""
        self._wake.set()

    async def watch_time(self, beat: Beat) -> None:
        """Tick, for ever."""
        while True:
            beat()
            began = self._clock.now()
            for verdict in self._registry.tick(began, self._clock.wall):
                log.info("instance changed", key=verdict.key, status=verdict.status, reason=verdict.reason)
                if verdict.status == CRITICAL:
                    self._metrics.expiries += 1
            self._answers.doubt(self._registry.doubted_services() | self._unbelieved())
            for key in self._registry.liveness.due_reregistrations(began):
                self._metrics.unknown_heartbeats += 1
                await self._ask_to_register(key)
            if self._registry.catalog.unwritten:
                self._wake.set()
            await asyncio.sleep(TICK)
            self._metrics.ticked(max(0.0, self._clock.now() - began - TICK))

    async def write(self, beat: Beat) -> None:
        """Write what changed and remove what is long dead, for ever, whenever this hub leads."""
        while True:
            beat()
            try:
                async with asyncio.timeout(TICK):
                    await self._wake.wait()
            except TimeoutError:
                pass  # nothing changed; there may still be something to remove
            self._wake.clear()
            if not self._term.held:
                continue
            for step in (self._write_states, self._remove_dead):
                try:
                    await step(beat)
                except HubError as error:  # and one step's trouble does not keep the other from being taken
                    log.warning("state not written; will try again", reason=error.message)
                    await asyncio.sleep(_PAUSE_AFTER_FAILURE)

    async def _write_states(self, beat: Beat) -> None:
        while self._term.held and (writes := self._registry.writes(_WRITES_AT_ONCE)):
            beat()
            done = await asyncio.gather(*(self._write_state(write) for write in writes))
            if not any(done):
                return  # others were quicker everywhere; the watch will tell

    async def _write_state(self, write: Write) -> bool:
        value = encode(write.record)
        try:
            with self._registry.writing(write.record, value):
                revision = await self._bucket.put(write.key, value, expected=write.expected)
        except RevisionConflict:
            return False
        self._registry.written(write.record, revision)
        if write.moved:
            self._events.append(happened("service.health", write.record, revision, self._clock.wall()))
        return True

    async def _remove_dead(self, beat: Beat) -> None:
        for key in self._registry.liveness.due_removals(self._clock.now()):
            beat()
            entry = self._registry.catalog.entries.get(key)
            if entry is None or not self._term.held:
                continue
            try:
                revision = await self._bucket.delete(key, expected=entry.revision)
            except RevisionConflict:
                continue  # it was written meanwhile: it may live
            self._registry.liveness.removed(key, self._clock.now())
            self._registry.removed(key, revision)
            self._metrics.removals += 1
            reason = f"critical for more than {entry.record.deregister_after:g} s"
            self._events.append(happened("service.expired", entry.record, revision, self._clock.wall(), reason=reason))
            log.info("instance removed", key=key, reason=reason)

    async def _ask_to_register(self, key: str) -> None:
        service, _, instance_id = key.partition(".")
        if not (is_service_name(service) and is_instance_id(instance_id)):
            return  # nobody of that name can register
        try:
            await self._client.publish(subjects.reregister(key))
        except (nats.errors.Error, OSError) as error:
            log.debug("not asked to register", key=key, reason=str(error) or type(error).__name__)
