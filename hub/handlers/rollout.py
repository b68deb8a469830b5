"""Who runs with which configuration: heard in beats, answered on `hub.config.status`, and reminded where it lags."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client

from hub.core.canary import state, traits, tries
from hub.core.configs import Configs
from hub.core.happenings import refused as told_refused
from hub.core.happenings import rolled_out
from hub.core.registry import Registry
from hub.core.rollouts import Rollouts, Word
from hub.handlers.clock import Clock
from hub.handlers.lookback import LookBack
from hub.store.events import EventLog
from hub.store.lease import LeaderLease
from hub.transport.connection import describe
from hub.transport.loops import Beat
from hub.wire import subjects
from hub.wire.codec import Decoder, encode
from hub.wire.config import EVERYBODY
from hub.wire.configstatus import (
    ConfigRefusal,
    ConfigStatus,
    ConfigStatusQuery,
    InstanceConfig,
    Verdict,
)
from hub.wire.event import CloudEvent

log = structlog.get_logger(__name__)

_ROUND: Final = 1.0
_SLICE: Final = 500
"""Instances that are looked at in a row; then others get their turn."""
_REMEMBERED: Final = 30.0
"""Seconds in which there is a leader again; well within those in which the stream takes an event's id only once."""
_MOST_UNTOLD: Final = 10_000
_ROW_BYTES: Final = 160
"""What an instance takes in a reply, beside its reason."""


class Rollout:
    """Follows who runs with what.

    Args:
        client: Where to remind.
        configs: What each service is to run with.
        registry: Who there is.
        events: Where to tell of what has been applied and refused.
        clock: Where to read the time.
        lease: Only its holder reminds, and tells.
        max_bytes: The largest list in a reply.
    """

    def __init__(
        self,
        client: Client,
        configs: Configs,
        registry: Registry,
        events: EventLog,
        clock: Clock,
        lease: LeaderLease,
        *,
        max_bytes: int,
    ) -> None:
        self._client = client
        self._configs = configs
        self._registry = registry
        self._events = events
        self._clock = clock
        self._lease = lease
        self._max_bytes = max_bytes
        self._rollouts = Rollouts()
        self._decode = Decoder(ConfigStatusQuery)
        self._awaited: dict[str, int] = {}
        self._untold: dict[str, tuple[CloudEvent, float]] = {}
        self._look_back = LookBack(configs, registry, events, clock, self._rollouts.runs)

    def found(self, scope: str) -> None:
        """What the scope's services are to run with was stored before this hub came, and is nothing new.

        Who runs it is not known yet, save by those who happen to beat first: that all do it tells by another rule.
        """
        self._want(scope)
        self._look_back.found()

    def changed(self, scope: str) -> None:
        """What the scope's services are to run with is something new."""
        self._want(scope)
        for service in self._services(scope):
            self._awaited[service] = self._configs.wanted(service)
            self._look_back.changed(service)

    def heard(self, key: str, running: int | None, refused: ConfigRefusal | None) -> None:
        """An instance has said what it runs with, or what it cannot run with."""
        if key not in self._registry.catalog.entries:
            return  # it is asked to register, and will say so again
        wall = self._clock.wall()
        step = self._rollouts.hear(key, running, refused, wall)
        if step == "refused" and refused is not None:
            log.info("configuration refused", key=key, revision=refused.revision, reason=refused.reason)
            self._tell(told_refused(key, refused.revision, refused.reason, wall))

    def word(self, key: str) -> Word | None:
        """What an instance has said that it runs with; None where it has said nothing."""
        return self._rollouts.word(key)

    def status(self, payload: bytes) -> bytes:
        """The encoded `ConfigStatus`, as far as this hub has heard."""
        query = self._decode(payload)
        service = self._registry.catalog.services.get(query.service)
        now = self._clock.now()
        counts: Counter[Verdict] = Counter()
        rows: list[InstanceConfig] = []
        canaries = list(self._configs.canaries(query.service))
        size, following = 0, None
        for entry in service.sorted() if service else ():
            stands = self._rollouts.stands(query.service, entry.record.instance_id, entry.key, now)
            counts[stands.verdict] += 1
            if following is not None or stands.instance_id <= query.after:
                continue
            size += _ROW_BYTES + (len(stands.refused.reason.encode()) * 2 if stands.refused else 0)
            if rows and (len(rows) == query.limit or size > self._max_bytes):
                following = rows[-1].instance_id
            else:
                trying = any(tries(canary.target, traits(entry.record)) for canary in canaries)
                rows.append(msgspec.structs.replace(stands, canary=True) if trying else stands)
        return encode(
            ConfigStatus(
                service=query.service,
                wanted=self._configs.wanted(query.service),
                counts=dict(counts),
                instances=tuple(rows),
                next=following,
                canary=state(canaries[0]) if canaries else None,
            )
        )

    async def remind(self, key: str) -> None:
        """Have an instance read its configuration again, and say what it runs with; nobody else hears of it."""
        if not self._client.is_connected:
            return
        try:
            await self._client.publish(subjects.config_remind(key))
        except (nats.errors.Error, OSError) as error:
            log.debug("reminder not sent", key=key, reason=describe(error))

    def counts(self) -> Mapping[str, int]:
        """How many instances stand how, of those who tell what they run."""
        return {str(verdict): count for verdict, count in self._rollouts.counts(self._clock.now()).items()}

    async def remind_rounds(self, beat: Beat) -> None:
        """Remind whoever lags, tell where all have applied what is new, and forget who is gone; for ever."""
        while True:
            beat()
            await asyncio.sleep(_ROUND)
            awaited, applied, behind = dict(self._awaited), Counter[str](), set[str]()
            keys = list(self._rollouts)
            for start in range(0, len(keys), _SLICE):
                some = keys[start : start + _SLICE]
                self._rollouts.forget(key for key in some if key not in self._registry.catalog.entries)
                for key in some:
                    service = key.partition(".")[0]
                    if service in awaited and key in self._registry.catalog.entries:
                        applied[service] += 1
                        if not self._rollouts.runs(key, awaited[service]):
                            behind.add(service)
                if self._lease.held and self._client.is_connected:
                    for key in self._rollouts.to_remind(some, self._configs.wanted, self._clock.now()):
                        await self.remind(key)
                await asyncio.sleep(0)
            self._tell_untold()
            for service in applied.keys() - behind:
                self._tell_applied(service, awaited[service], applied[service])
            if self._lease.held and self._client.is_connected:
                for ended in await self._look_back.ended():
                    if ended.service not in self._awaited:
                        self._say_applied(*ended)

    def _tell_applied(self, service: str, revision: int, instances: int) -> None:
        """All of a service run with a revision; that is told once."""
        if self._awaited.get(service) != revision:
            return  # there is a newer one already
        del self._awaited[service]
        self._say_applied(service, revision, instances)

    def _say_applied(self, service: str, revision: int, instances: int) -> None:
        log.info("configuration applied by all", service=service, revision=revision, instances=instances)
        self._tell(rolled_out(service, revision, instances, self._clock.wall()))

    def _tell(self, event: CloudEvent) -> None:
        """The leader tells. The others remember it for a while, in case there is none just now: an id counts once."""
        if len(self._untold) < _MOST_UNTOLD:
            self._untold[event.id] = event, self._clock.now()
        self._tell_untold()

    def _tell_untold(self) -> None:
        if self._lease.held:
            for event, _ in self._untold.values():
                self._events.append(event)
            self._untold.clear()
        elif self._untold:
            since = self._clock.now() - _REMEMBERED
            self._untold = {name: told for name, told in self._untold.items() if told[1] > since}

    def _want(self, scope: str) -> None:
        for service in self._services(scope):
            self._rollouts.want(service, self._configs.wanted(service), self._clock.now())

    def _services(self, scope: str) -> set[str]:
        """Those known here that a scope is about."""
        if scope != EVERYBODY:
            return {scope}
        return {key.partition(".")[0] for key in self._rollouts}.union(self._configs.scopes())
