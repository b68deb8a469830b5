"""Active checks: this hub looks at its share of the instances, each at its time, and tells what it found."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from hub.core.registry import Registry
from hub.handlers.clock import Clock
from hub.handlers.findings import Findings
from hub.handlers.share import Look, Share, Target
from hub.probes.outcome import Outcome
from hub.telemetry.metrics import Metrics
from hub.transport.loops import Beat
from hub.wire.checks import CheckState, type_of
from hub.wire.names import PASSING

log = structlog.get_logger(__name__)

RETELL_EVERY: Final = 10.0
"""Seconds between two tellings of what is not passing, or has changed of late: it may have been lost on its way."""
_RETOLD_A_SECOND: Final = 100
"""Instances that are told of again at most: with many in trouble a round takes longer."""
_SLICE: Final = 8
"""So many instances are told of again in a row, and then others get their turn: a murmur, and not a burst."""
_LATE: Final = 0.1
"""Seconds by which a look may end after its timeout; when it ends later, it is this hub that stood still."""
_RECENT: Final = 0.5
"""Seconds for which it takes NATS to be away still, when it was a moment ago."""
_REST: Final = 1.0
"""Seconds after which the schedule is looked at in any case."""
_GRAIN: Final = 0.001
"""Seconds that a timer may be early by, as the event loop counts in milliseconds: waking then is waking twice."""


class Probing:
    """Makes the checks that are this hub's share.

    Args:
        share: What is to be looked at.
        registry: What is known of the instances, and since when this hub hears well.
        findings: Whom to tell what was found.
        clock: Where to read the time.
        metrics: Where to count.
        concurrency: How many looks there may be at once.
    """

    def __init__(
        self,
        share: Share,
        registry: Registry,
        findings: Findings,
        clock: Clock,
        metrics: Metrics,
        *,
        concurrency: int,
    ) -> None:
        self._share = share
        self._registry = registry
        self._findings = findings
        self._clock = clock
        self._metrics = metrics
        self._concurrency = concurrency
        self._running: set[str] = set()

    # --- looking

    async def look(self, beat: Beat) -> None:
        """Look at what is due, for ever."""
        self._running.clear()  # whoever looked before may have been stopped between two steps
        async with asyncio.TaskGroup() as group:
            while True:
                beat()
                await self._share.settle()
                due, skipped = self._share.schedule.take(self._clock.now(), self._concurrency - len(self._running))
                self._metrics.probes_skipped += skipped
                for each in due:
                    self._begin(each, group)
                    await asyncio.sleep(0)  # one at a time: whoever asks the hub something gets a turn in between
                await self._rest()

    def _begin(self, each: str, group: asyncio.TaskGroup) -> None:
        """Look at this; what is looked at still is left out this time."""
        look = self._share.looks.get(each)
        if each in self._running:
            self._metrics.probes_skipped += 1
        elif look is not None:
            self._running.add(each)
            group.create_task(self._make(look))

    async def _rest(self) -> None:
        """Wait for the next that is due, for room, or for news of what is to be done."""
        wait, due = _REST, self._share.schedule.next_due()
        if due is not None and len(self._running) < self._concurrency:
            wait = min(wait, max(0.0, due - self._clock.now()) + _GRAIN)
        alarm = asyncio.get_running_loop().call_later(wait, self._share.news.set)
        await self._share.news.wait()  # hundreds of times a second, and `asyncio.timeout` is dear
        alarm.cancel()
        self._share.news.clear()

    async def _make(self, look: Look) -> None:
        began = self._clock.now()
        try:
            outcome = await look.prober()
        finally:
            self._running.discard(look.id)
            if len(self._running) == self._concurrency - 1:
                self._share.news.set()
        ended = self._clock.now()
        void = not outcome.ok and self._stood_still(look, began, ended)
        word = "ok" if outcome.ok else "void" if void else "failed"
        self._metrics.probes(type_of(look.check)).observe(word, ended - began)
        target = self._share.targets.get(look.key)
        if void or target is None or target.looks.get(look.name) is not look:
            return
        state = self._judge(target, look, outcome, ended)
        if state is not None:
            await self._findings.tell(look.key, (state,))

    def _stood_still(self, look: Look, began: float, ended: float) -> bool:
        """Whether this hub, or its way to NATS, was not well meanwhile, so that a failure may be its own."""
        late = ended - began > look.check.timeout + _LATE
        return late or self._registry.liveness.hearing_since(ended) > began - _RECENT

    def _judge(self, target: Target, look: Look, outcome: Outcome, now: float) -> CheckState | None:
        """What an outcome comes to. Returns what is to be told."""
        standing, keep = look.standing, False
        entry = self._registry.catalog.entries.get(look.key)
        known = entry.checks.get(look.name) if entry else None
        if known is not None and standing.is_older_than(known):
            standing.adopt(known, now)  # somebody else has looked while this hub stood still
        if not outcome.ok:
            self._share.outage.note(look.key, passing=target.passes, failing=True)
            keep = standing.is_about_to_fail() and self._share.outage.keeps(look.key, look.name)
        state = standing.observe(outcome.ok, outcome.output, now, self._clock.wall(), keep=keep)
        self._share.outage.note(look.key, passing=target.passes, failing=target.fails)
        if state is not None:
            target.changed = now
            is_first = known is None and state.status == PASSING
            tell = log.debug if is_first else log.info
            tell("check changed", key=look.key, check=state.name, status=state.status, output=state.output)
            return state
        return standing.state if known != standing.state else None  # it got lost on its way

    # --- telling again

    async def retell(self, beat: Beat) -> None:
        """Tell again what is not passing or has changed of late, in rounds, for ever."""
        while True:
            now = self._clock.now()
            keys = [key for key, target in self._share.targets.items() if target.looks and target.is_worth_telling(now)]
            slices = max(1, -(-len(keys) // _SLICE))
            for number in range(slices):
                beat()
                await asyncio.sleep(max(RETELL_EVERY / slices, _SLICE / _RETOLD_A_SECOND))
                for key in keys[number * _SLICE : (number + 1) * _SLICE]:
                    await self._tell_again(key)

    async def _tell_again(self, key: str) -> None:
        target, now = self._share.targets.get(key), self._clock.now()
        if target is None or now - self._registry.liveness.hearing_since(now) < RETELL_EVERY:
            return  # what others have found meanwhile may still be on its way here
        if states := target.states():
            await self._findings.tell(key, states)
