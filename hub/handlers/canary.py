"""Canaries as they are tried: watched by whichever hub leads, promoted or rolled back, by itself or on request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import structlog

from hub.core.canary import Ruling, Tried, counted, judge
from hub.core.configs import Configs
from hub.core.drafts import Draft
from hub.core.entry import Entry
from hub.core.registry import Registry
from hub.core.rollouts import Word
from hub.errors import Conflict, HubError, NotFound
from hub.handlers.audience import Audience
from hub.handlers.clock import Clock
from hub.handlers.config import Configuration, Wish
from hub.handlers.endpoint import Respond
from hub.handlers.rollout import Rollout
from hub.store.lease import LeaderLease
from hub.transport.loops import Beat
from hub.wire import subjects
from hub.wire.canary import Canary
from hub.wire.codec import Decoder
from hub.wire.config import EVERYBODY, AbortCanary, PromoteCanary
from hub.wire.names import CRITICAL, MAX_REASON

log = structlog.get_logger(__name__)

AUTHOR: Final = "central-hub"
"""Who ends a canary that nobody has asked to be ended."""
_ROUND: Final = 1.0

Ending = Literal["promote", "abort"]


class _Ours(NamedTuple):
    """The hub's own wish."""

    reason: str
    author: str = AUTHOR
    dry_run: bool = False


@dataclass(slots=True)
class _Trial:
    """What this hub has seen of a canary: since when it watches, who was well, and since when nobody tries it."""

    since: float
    well: set[str] = field(default_factory=set)
    lonely_since: float | None = None


class Canaries:
    """Ends canaries.

    Everything that decides is in the store, in beats, or in the registry, so that any hub can go on where another was
    lost. What was baked before counts; but a hub that has only just come watches for a while of its own.

    Args:
        configs: What is being tried.
        configuration: Where it is ended.
        rollout: What instances say that they run with.
        registry: How they are.
        clock: Where to read the time.
        lease: Only its holder ends canaries by itself.

    Attributes:
        subjects: What it answers, and how.
    """

    def __init__(
        self,
        configs: Configs,
        configuration: Configuration,
        rollout: Rollout,
        registry: Registry,
        clock: Clock,
        lease: LeaderLease,
    ) -> None:
        self._configs = configs
        self._configuration = configuration
        self._rollout = rollout
        self._audience = Audience(registry)
        self._clock = clock
        self._lease = lease
        self._trials: dict[tuple[str, str], _Trial] = {}
        self._decode_promote = Decoder(PromoteCanary)
        self._decode_abort = Decoder(AbortCanary)
        self.subjects: dict[str, Respond] = {
            subjects.CONFIG_PROMOTE: self.promote,
            subjects.CONFIG_ABORT: self.abort,
        }

    @property
    def under_way(self) -> int:
        """How many canaries are being tried."""
        return len(self._configs.under_way())

    def promote(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ConfigChanged`, once what some have tried is put for all."""
        request = self._decode_promote(payload)
        return self._end(self._tried(request.service), "promote", request)

    def abort(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ConfigChanged`, once what some have tried is taken back."""
        request = self._decode_abort(payload)
        return self._end(self._tried(request.service), "abort", request)

    async def watch_rounds(self, beat: Beat) -> None:
        """See how every canary is doing, and end it when its time has come, for ever."""
        while True:
            beat()
            await asyncio.sleep(_ROUND)
            under_way = self._configs.under_way()
            self._trials = {each: trial for each, trial in self._trials.items() if each[0] in under_way}
            for canary, scopes in under_way.items():
                ruling = self._look(scopes)
                if ruling.step != "bake" and self._lease.held:
                    await self._rule(canary, scopes, ruling)
                await asyncio.sleep(0)

    # --- inside

    def _tried(self, scope: str) -> str:
        record = self._configs.record(scope)
        if record is None or record.canary is None:
            raise NotFound(f"service: no canary of {scope!r} is being tried", field="service")
        return record.canary.id

    async def _end(self, canary: str, kind: Ending, wish: Wish) -> bytes:
        def drafts() -> Sequence[Draft]:
            scopes = self._configs.under_way().get(canary)
            if not scopes:
                raise Conflict("the canary has been ended already")
            return [self._draft(scope, canary, kind) for scope in scopes]

        return await self._configuration.change(kind, wish, drafts)

    def _draft(self, scope: str, canary: str, kind: Ending) -> Draft:
        record = self._configs.record(scope)
        if kind == "abort" or record is None or record.canary is None:
            return Draft(scope, ends=canary)
        return Draft(scope, values=record.canary.values, ends=canary)

    async def _rule(self, canary: str, scopes: Sequence[str], ruling: Ruling) -> None:
        kind: Ending = "promote" if ruling.step == "promote" else "abort"
        try:
            await self._end(canary, kind, _Ours(ruling.reason[:MAX_REASON]))
        except HubError as error:
            log.warning("canary not ended yet", scopes=scopes, wanted=ruling.step, reason=error.message)
        else:
            log.info("canary ended", scopes=scopes, step=ruling.step, reason=ruling.reason)

    def _look(self, scopes: Sequence[str]) -> Ruling:
        """What is to become of a canary: of many scopes, the worst of what would become of each."""
        rulings = [self._judge(scope) for scope in scopes]
        broken = next((ruling for ruling in rulings if ruling.step == "roll back"), None)
        return broken or next((ruling for ruling in rulings if ruling.step == "bake"), rulings[0])

    def _judge(self, scope: str) -> Ruling:
        known = self._configs.own(scope)
        if known is None or known.record.canary is None:
            return Ruling("bake")  # it was ended just now
        canary, now = known.record.canary, self._clock.now()
        trial = self._trials.get((canary.id, scope))
        if trial is None:
            baked = (self._clock.wall() - canary.since).total_seconds()
            trial = _Trial(since=now - counted(baked, canary.bake))
            self._trials[canary.id, scope] = trial
        tried = [
            self._stands(entry, word, canary, known.revision, trial)
            for entry in self._audience.trying(scope, canary)
            if (word := self._rollout.word(entry.key)) is not None or scope != EVERYBODY
        ]
        trial.lonely_since = None if tried else trial.lonely_since or now
        lonely = now - trial.lonely_since if trial.lonely_since is not None else 0.0
        return judge(canary, tried, now - trial.since, lonely)

    def _stands(self, entry: Entry, word: Word | None, canary: Canary, revision: int, trial: _Trial) -> Tried:
        """How one of those who try it is. Of `_all`, only those are asked who follow their configuration at all."""
        is_critical = entry.instance.status == CRITICAL
        if not is_critical:
            trial.well.add(entry.key)
        refused = word.refused if word is not None else None
        return Tried(
            entry.record.instance_id,
            runs=word is not None and (word.running or 0) >= self._configs.wanted(entry.record.name),
            refusal=refused if refused is not None and refused.revision >= revision else None,
            is_critical=is_critical,
            has_fallen=is_critical and (entry.key in trial.well or entry.instance.since > canary.since),
        )
