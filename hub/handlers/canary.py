"""Canaries as they are tried: watched by whichever hub leads, promoted or rolled back, by itself or on request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Literal, NamedTuple

import structlog

from hub.core.canary import Ruling, state, traits, tries
from hub.core.configs import Configs
from hub.core.drafts import Draft
from hub.core.registry import Registry
from hub.core.rollouts import Word
from hub.core.trial import Trial
from hub.errors import Conflict, HubError, InvalidConfig, NotFound
from hub.handlers.audience import Audience
from hub.handlers.clock import Clock
from hub.handlers.config import Configuration, Wish
from hub.handlers.endpoint import Respond
from hub.handlers.proven import Signed
from hub.handlers.rollout import Rollout
from hub.store.lease import LeaderLease
from hub.transport.loops import Beat
from hub.wire import subjects
from hub.wire.config import (
    EVERYBODY,
    AbortCanary,
    PromoteCanary,
)
from hub.wire.configstatus import ConfigRefusal
from hub.wire.names import MAX_REASON, SUSPECT

log = structlog.get_logger(__name__)

AUTHOR: Final = "central-hub"
"""Who ends a canary that nobody has asked to be ended."""
_ROUND: Final = 1.0
_SLICE: Final = 200
"""Instances that are looked at in a row; then others get their turn."""

Ending = Literal["promote", "abort"]


class _Ours(NamedTuple):
    """The hub's own wish."""

    reason: str
    author: str = AUTHOR
    dry_run: bool = False


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
        self._registry = registry
        self._audience = Audience(registry)
        self._clock = clock
        self._lease = lease
        self._trials: dict[str, Trial] = {}
        self._is_new_here = True
        self._decode_promote = Signed(PromoteCanary)
        self._decode_abort = Signed(AbortCanary)
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
        return self._asked("promote", self._decode_promote(payload))

    def abort(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ConfigChanged`, once what some have tried is taken back."""
        return self._asked("abort", self._decode_abort(payload))

    def heard(self, key: str, running: int | None, refused: ConfigRefusal | None) -> None:
        """An instance has said what it runs with, or cannot run with: it may be gone before it is looked at."""
        if refused is None:
            return
        entry = self._registry.catalog.entries.get(key)
        if entry is None:
            return
        for scope in (entry.record.name, EVERYBODY):
            trial = self._trial(scope)
            if trial is not None and tries(trial.canary.target, traits(entry.record)):
                trial.note(trial.stands(entry, Word(running, self._clock.wall(), refused), self._wanted(key)))

    async def watch_rounds(self, beat: Beat) -> None:
        """See how every canary is doing, and end it when its time has come, for ever."""
        while True:
            beat()
            await asyncio.sleep(_ROUND)
            under_way = self._configs.under_way()
            self._trials = {scope: trial for scope, trial in self._trials.items() if trial.canary.id in under_way}
            for canary, scopes in under_way.items():
                beat()
                ruling = await self._look(scopes)
                if ruling.step != "bake" and self._lease.held:
                    await self._rule(canary, scopes, ruling)
            self._is_new_here = False

    # --- inside

    async def _asked(self, kind: Ending, wish: PromoteCanary | AbortCanary) -> bytes:
        found = self._tried(wish.service)
        if found is None or wish.canary not in (None, found):
            await self._configuration.hindsight.catch_up(wish.service)  # another hub may have begun it just now
        canary = self._tried(wish.service)
        if canary is None:
            shared = f", but one of {EVERYBODY!r} is" if self._tried(EVERYBODY) else ""
            raise NotFound(f"service: no canary of {wish.service!r} is being tried{shared}", field="service")
        if wish.canary not in (None, canary):
            raise Conflict(
                f"canary: expected the one of {wish.service!r} that is being tried, {canary!r}, got {wish.canary!r}",
                field="canary",
            )
        return await self._end(canary, kind, wish)

    def _tried(self, scope: str) -> str | None:
        record = self._configs.record(scope)
        return record.canary.id if record is not None and record.canary is not None else None

    async def _end(self, canary: str, kind: Ending, wish: Wish) -> bytes:
        def drafts() -> Sequence[Draft]:
            scopes = self._configs.under_way().get(canary)
            if not scopes:
                raise Conflict("the canary has been ended already")
            return [self._draft(scope, canary, kind) for scope in scopes]

        return await self._configuration.change(kind, wish, drafts, force=kind == "abort")  # back to what was there

    def _draft(self, scope: str, canary: str, kind: Ending) -> Draft:
        record = self._configs.record(scope)
        if kind == "abort" or record is None or record.canary is None:
            return Draft(scope, ends=canary)
        return Draft(scope, values=record.canary.values, ends=canary)

    async def _rule(self, canary: str, scopes: Sequence[str], ruling: Ruling) -> None:
        try:
            try:
                await self._end(canary, "promote" if ruling.step == "promote" else "abort", _ours(ruling.reason))
            except InvalidConfig as error:  # a schema was forced meanwhile
                ruling = Ruling("roll back", f"it cannot be put for all: {error.message}")
                await self._end(canary, "abort", _ours(ruling.reason))
        except HubError as error:
            log.warning("canary not ended yet", scopes=scopes, wanted=ruling.step, reason=error.message)
        else:
            log.info("canary ended", scopes=scopes, step=ruling.step, reason=ruling.reason)

    async def _look(self, scopes: Sequence[str]) -> Ruling:
        """What is to become of a canary: of many scopes, the worst of what would become of each.

        A scope of which nobody was ever there to try it shows nothing; the others do.
        """
        rulings = {scope: await self._judge(scope) for scope in scopes}
        tried = [ruling for scope, ruling in rulings.items() if scope in self._trials and self._trials[scope].is_tried]
        counting = tried or list(rulings.values())
        back = next((ruling for ruling in counting if ruling.step == "roll back"), None)
        return back or next((ruling for ruling in counting if ruling.step == "bake"), counting[0])

    async def _judge(self, scope: str) -> Ruling:
        trial = self._trial(scope)
        if trial is None:
            return Ruling("bake")  # it was ended just now
        tried = []
        for number, entry in enumerate(self._audience.of(scope), start=1):
            if not number % _SLICE:
                await asyncio.sleep(0)
            if not tries(trial.canary.target, traits(entry.record)):
                continue
            word = self._rollout.word(entry.key)
            if word is None or entry.instance.status == SUSPECT:
                await self._ask(trial, entry.key)
            if word is not None or scope != EVERYBODY:  # of all, only those who follow their configuration count
                is_held = entry.key in self._registry.liveness.held
                tried.append(trial.stands(entry, word, self._wanted(entry.key), is_held=is_held))
        now = self._clock.now()
        return trial.judged(tried, now, hearing_since=self._registry.liveness.hearing_since(now))

    def _trial(self, scope: str) -> Trial | None:
        """What this hub has seen of the scope's canary. What was tried before it came counts, by the time of day."""
        known = self._configs.own(scope)
        if known is None or known.record.canary is None:
            return None
        canary, trial = known.record.canary, self._trials.get(scope)
        if trial is None or trial.canary.id != canary.id:
            baked = (self._clock.wall() - canary.since).total_seconds() if self._is_new_here else 0.0
            trial = self._trials[scope] = Trial(state(canary), known.revision, self._clock.now(), baked=baked)
        return trial

    async def _ask(self, trial: Trial, key: str) -> None:
        """Ask one who has said nothing since this hub came, or may be gone: the next beat may be hours away."""
        if self._lease.held and trial.asks(key, self._clock.now()):
            await self._rollout.remind(key)

    def _wanted(self, key: str) -> int:
        return self._configs.wanted(key.partition(".")[0])


def _ours(reason: str) -> _Ours:
    return _Ours(reason[:MAX_REASON])
