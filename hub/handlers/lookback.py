"""Roll-outs whose end no hub may have seen: the one hub there was ended while they were under way.

Whoever was there when a change came knows who is to apply it, and tells when all have that tell what they run. A hub
that has just started knows neither: who has not said anything to it yet may still do so. So it waits for every
registered instance, for a while, and asks the stream whether it was told meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog

from hub.core.configs import Configs
from hub.core.happenings import rolled_out
from hub.core.registry import Registry
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.store.events import EventLog
from hub.wire.config import EVERYBODY

log = structlog.get_logger(__name__)

YOUNG: Final = timedelta(minutes=15)
"""How old a change may be: whoever has not applied it by then is a matter for `hub.config.status`."""
_SLICE: Final = 500
"""Instances that are looked at in a row; then others get their turn."""


class Ended(NamedTuple):
    """All registered instances of a service, so many, run with a revision, and that was not told."""

    service: str
    revision: int
    instances: int


class _Open(NamedTuple):
    revision: int
    at: datetime


class LookBack:
    """Finds the roll-outs that have ended untold.

    Args:
        configs: What each service is to run with.
        registry: Who there is.
        events: What was told.
        clock: Where to read the time.
        runs: Whether the instance of a key has said that it runs with a revision, or a newer one.
    """

    def __init__(
        self, configs: Configs, registry: Registry, events: EventLog, clock: Clock, runs: Callable[[str, int], bool]
    ) -> None:
        self._configs = configs
        self._registry = registry
        self._events = events
        self._clock = clock
        self._runs = runs
        self._found = 0
        self._open: dict[str, _Open] | None = None

    def found(self) -> None:
        """What is known now was stored before this hub came."""
        self._found = self._configs.revision

    def changed(self, service: str) -> None:
        """The service is to run with something new, which is followed from its beginning."""
        if self._open is not None:
            self._open.pop(service, None)

    async def ended(self) -> list[Ended]:
        """Those that have ended and were not told; each is given once. To be asked by the leader, again and again."""
        if self._open is None:
            self._open = dict(self._began())
        wall = self._clock.wall()
        for service, opened in list(self._open.items()):
            if self._configs.wanted(service) != opened.revision or wall - opened.at > YOUNG:
                del self._open[service]
        ended = [each for each in [await self._look(*each) for each in list(self._open.items())] if each is not None]
        if not ended:
            return []
        try:
            told = await self._events.told_since("config.applied", min(self._open[each.service].at for each in ended))
        except HubError as error:
            log.debug("events not read; trying again", reason=error.message)
            return []
        for each in ended:
            self._open.pop(each.service, None)
        return [each for each in ended if rolled_out(*each, wall).id not in told]

    def _began(self) -> Iterator[tuple[str, _Open]]:
        """The young changes that were there when this hub came, by the services that are registered."""
        wall = self._clock.wall()
        for service in self._registry.catalog.services:
            revision = self._configs.wanted(service)
            if not 0 < revision <= self._found:
                continue
            for scope in (service, EVERYBODY):
                known = self._configs.own(scope)
                if known is not None and known.revision == revision and wall - known.record.at <= YOUNG:
                    yield service, _Open(revision, known.record.at)

    async def _look(self, service: str, opened: _Open) -> Ended | None:
        known = self._registry.catalog.services.get(service)
        keys = [entry.key for entry in known.entries.values()] if known else []
        for start in range(0, len(keys), _SLICE):
            if not all(self._runs(key, opened.revision) for key in keys[start : start + _SLICE]):
                return None
            await asyncio.sleep(0)
        return Ended(service, opened.revision, len(keys)) if keys else None
