"""`ttl` checks: every replica hears what services report with their beats, and minds the time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from hub.core.entry import Entry
from hub.core.registry import Registry
from hub.core.ttlchecks import Found, TtlChecks
from hub.handlers.clock import Clock
from hub.transport.loops import Beat
from hub.wire.checks import CheckReport, TtlCheck

_TICK: Final = 0.25


class TtlReports:
    """Tells the registry how the `ttl` checks stand. Nothing of it goes over the wire: all replicas hear the same."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._checks = TtlChecks()

    def declared(self, entry: Entry) -> None:
        """See `Follower`."""
        own = [check for check in entry.record.checks if isinstance(check, TtlCheck)]
        if own or entry.key in self._checks:
            stored = {state.name: state for state in entry.record.check_states}
            self._take(self._checks.declare(entry.key, own, stored, self._clock.now(), self._clock.wall()))

    def undeclared(self, key: str) -> None:
        """See `Follower`."""
        self._checks.forget(key)

    def report(self, key: str, reports: Mapping[str, CheckReport]) -> None:
        """An instance reports on its checks."""
        self._take(self._checks.report(key, reports, self._clock.now(), self._clock.wall))

    async def watch_time(self, beat: Beat) -> None:
        """Notice who is silent, for ever."""
        while True:
            beat()
            now = self._clock.now()
            self._take(self._checks.tick(now, self._registry.liveness.hearing_since(now), self._clock.wall))
            await asyncio.sleep(_TICK)

    def _take(self, found: Iterable[Found]) -> None:
        now = self._clock.now()
        for key, state in found:
            self._registry.checked(key, state, now)
