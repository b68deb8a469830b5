"""`hub.config.*`: what services are to run with. Reads come from memory, and from the history in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from random import uniform
from typing import Any, Final, NamedTuple, Protocol
from uuid import uuid4

from hub.core.canary import Traits, traits
from hub.core.configs import Configs, Effect, Plan
from hub.core.drafts import Draft, Signature
from hub.core.happenings import canary_step, configured
from hub.core.layers import patched
from hub.core.registry import Registry
from hub.errors import Conflict, DeadlineExceeded, Unavailable
from hub.handlers.audience import Audience
from hub.handlers.changes import Changes
from hub.handlers.clock import Clock
from hub.handlers.configpast import ConfigPast, fitting
from hub.handlers.endpoint import Respond
from hub.handlers.hindsight import Hindsight
from hub.handlers.proven import Signed
from hub.store.events import EventLog
from hub.store.ports import History, Ledger, RevisionConflict
from hub.telemetry.request import note_change
from hub.wire import config, subjects
from hub.wire.codec import Decoder, encode

_ATTEMPTS: Final = 12
_BACK_OFF: Final = 0.01
"""Seconds, times the attempt, within which those who lost against each other try again."""
_SCOPES_SHOWN: Final = 200
_DIFFERENCES_SHOWN: Final = 200


class Wish(Protocol):
    """Who wants a change, and why; and whether it is only to be shown."""

    @property
    def author(self) -> str:
        """As they call themselves."""

    @property
    def reason(self) -> str:
        """In their words."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be stored."""


class _Told(NamedTuple):
    """A change that is to be told, and the record that it takes the place of."""

    record: config.ConfigRecord
    before: config.ConfigRecord | None


Admit = Callable[[Collection[str], int], Awaitable[None]]
"""Waits until these scopes may be changed, upon this revision of the bucket."""


async def _at_once(scopes: Collection[str], base: int) -> None:
    return


class Configuration:
    """Answers what is stored, and stores what is valid.

    A change is decided upon all that is known, and stored only if that is all there is: of two writers one wins, and
    the other is decided anew, or told.

    Args:
        configs: What is known.
        ledger: Where it is stored.
        history: What it was, as far back as that can be told; never asked by what changes something, but by a rollback.
        registry: Whom it concerns.
        events: Where to tell of changes.
        changes: Told of every revision that becomes known here.
        clock: Where to read the time.
        learned: Told the scope of every change stored here.
        look_up: Learns what is stored of secrets.
        max_bytes: The largest list in a reply.
        admit: Waits until scopes may be changed.

    Attributes:
        subjects: What it answers, and how.
        hindsight: Waits for what others have stored.
    """

    def __init__(
        self,
        configs: Configs,
        ledger: Ledger,
        history: History,
        registry: Registry,
        events: EventLog,
        changes: Changes,
        clock: Clock,
        learned: Callable[[str], None],
        look_up: Callable[[Collection[str]], Awaitable[None]],
        *,
        max_bytes: int,
        admit: Admit = _at_once,
    ) -> None:
        self._admit = admit
        self._configs = configs
        self._ledger = ledger
        self._past = ConfigPast(configs, ledger, history, max_bytes=max_bytes)
        self._registry = registry
        self._audience = Audience(registry)
        self._events = events
        self.hindsight = Hindsight(configs, ledger, changes)
        self._clock = clock
        self._learned = learned
        self._uncertain: dict[str, _Told] = {}
        self._look_up = look_up
        self._max_bytes = max_bytes
        self._decode_get = Decoder(config.GetConfig)
        self._decode_put = Signed(config.PutConfig)
        self._decode_patch = Signed(config.PatchConfig)
        self._decode_validate = Decoder(config.ValidateConfig)
        self._decode_history = Decoder(config.ConfigHistoryQuery)
        self._decode_diff = Decoder(config.ConfigDiffQuery)
        self._decode_rollback = Signed(config.RollbackConfig)
        self._decode_delete = Signed(config.DeleteConfig)
        self._decode_schema_get = Decoder(config.GetConfigSchema)
        self._decode_schema_put = Signed(config.PutConfigSchema)
        self.subjects: dict[str, Respond] = {
            subjects.CONFIG_GET: self.get,
            subjects.CONFIG_PUT: self.put,
            subjects.CONFIG_PATCH: self.patch,
            subjects.CONFIG_VALIDATE: self.validate,
            subjects.CONFIG_HISTORY: self.history,
            subjects.CONFIG_DIFF: self.diff,
            subjects.CONFIG_ROLLBACK: self.rollback,
            subjects.CONFIG_DELETE: self.delete,
            subjects.CONFIG_SCHEMA_GET: self.schema,
            subjects.CONFIG_SCHEMA_PUT: self.put_schema,
        }

    # --- reading

    def get(self, payload: bytes) -> bytes:
        """The encoded `Config`, as far as this hub has heard."""
        request = self._decode_get(payload)
        if request.instance is None:
            return self._fitting(self._configs.answer(request.service))
        entry = self._registry.catalog.entries.get(subjects.instance_key(request.service, request.instance))
        instance = Traits(request.service, request.instance) if entry is None else traits(entry.record)
        return self._fitting(self._configs.answer(request.service, instance))

    def validate(self, payload: bytes) -> bytes:
        """The encoded `ConfigVerdict`."""
        request = self._decode_validate(payload)
        found = tuple(self._configs.violations(request.service, request.values))
        return self._fitting(encode(config.ConfigVerdict(valid=not found, violations=found)))

    def schema(self, payload: bytes) -> bytes:
        """The encoded `ConfigSchema`."""
        service = self._decode_schema_get(payload).service
        known = self._configs.own(service)
        return encode(
            config.ConfigSchema(
                service=service,
                own_revision=known.revision if known else 0,
                schema=known.record.schema if known else None,
            )
        )

    def history(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ConfigHistory`, from the store."""
        return self._past.history(self._decode_history(payload))

    def diff(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ConfigDiff`, from the store."""
        return self._past.diff(self._decode_diff(payload))

    # --- changing

    def put(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ConfigChanged`, once all of it is stored."""
        request = self._decode_put(payload)
        drafts = [
            Draft(change.service, values=change.values, revision=change.revision, canary=request.canary)
            for change in request.changes
        ]
        return self.change("canary" if request.canary else "put", request, lambda: drafts)

    def patch(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ConfigChanged`, once all of it is stored."""
        request = self._decode_patch(payload)

        def drafts() -> Sequence[Draft]:
            return [
                Draft(
                    each.service,
                    values=patched(self._put_for(each.service), each.values),
                    revision=each.revision,
                    canary=request.canary,
                )
                for each in request.changes
            ]

        return self.change("canary" if request.canary else "patch", request, drafts)

    def delete(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ConfigChanged`, once it is stored that nothing is put."""
        return self._delete(self._decode_delete(payload))

    def rollback(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ConfigChanged`, once what was put is put again."""
        return self._rollback(self._decode_rollback(payload))

    def put_schema(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ConfigChanged`, once the schema is stored."""
        request = self._decode_schema_put(payload)
        draft = Draft(request.service, schema=request.schema, revision=request.revision)
        return self.change("schema", request, lambda: [draft], force=request.force)

    async def take_files(self, drafts: Sequence[Draft], wish: Wish) -> None:
        """Store what files say. Raises as `Configs.plan` does, and what the store raises."""
        await self.change("file", wish, lambda: drafts)

    async def change(
        self, kind: config.ChangeKind, wish: Wish, drafts: Callable[[], Sequence[Draft]], *, force: bool = False
    ) -> bytes:
        """The encoded `ConfigChanged`, once it is stored.

        Args:
            kind: What the change is.
            wish: Who wants it, and why.
            drafts: What is to be, by what is known when it is called: it is called again when others were faster.
            force: Whether what is not valid is stored, too.

        Raises:
            HubError: as `Configs.plan` does, and what the store raises.
        """
        for attempt in range(_ATTEMPTS):
            await self.hindsight.hear_of(drafts())
            if refused := self._configs.refused_secrets(drafts()):
                await self._look_up(refused)  # another hub may have stored them just now
            signature = Signature(kind, wish.author, wish.reason, self._clock.wall(), id=uuid4().hex)
            try:
                plan = self._configs.plan(drafts(), signature, force=force)
            except Conflict:
                if await self.hindsight.learn_more(drafts()):
                    continue  # it was decided upon what is no longer so
                raise
            if kind == "canary":
                self._audience.expect(plan)
            if wish.dry_run or not plan.records:
                note_change(False)
                return self._changed(plan, 0)
            await self._admit(plan.records, plan.base)
            try:
                revision = await self._ledger.commit(plan.records, expected=plan.base)
            except RevisionConflict:
                await self.hindsight.reach(plan.base + 1)
                await asyncio.sleep(uniform(0, _BACK_OFF * attempt))
            except (Unavailable, DeadlineExceeded):
                self._uncertain.update(
                    (scope, _Told(record, plan.before[scope])) for scope, record in plan.decoded.items()
                )
                raise
            else:
                note_change(True)
                self._learn(plan, revision)
                return self._changed(plan, revision)
        raise Unavailable("configuration: others keep changing it; try again")

    def heard(self, scope: str) -> None:
        """A change of a scope is known from the store: told, where it is one of this hub that seemed to have failed."""
        ours, known = self._uncertain.pop(scope, None), self._configs.own(scope)
        if ours is not None and known is not None and known.record == ours.record:
            self._tell(ours, known.revision)

    # --- inside: changing

    async def _delete(self, request: config.DeleteConfig) -> bytes:
        await self._past.newest(request.service)
        draft = Draft(request.service, values={}, revision=request.revision)
        return await self.change("delete", request, lambda: [draft])

    async def _rollback(self, request: config.RollbackConfig) -> bytes:
        earlier = await self._past.at(request.service, request.target)
        draft = Draft(request.service, values=earlier.values, revision=request.revision)
        return await self.change("rollback", request, lambda: [draft])

    def _learn(self, plan: Plan, revision: int) -> None:
        first = revision - len(plan.records) + 1
        for number, (scope, record) in enumerate(plan.decoded.items(), start=first):
            self._uncertain.pop(scope, None)
            self._configs.learn(scope, record, number)
            self._tell(_Told(record, plan.before[scope]), number)
            self._learned(scope)

    def _tell(self, told: _Told, revision: int) -> None:
        record, was = told.record, told.before.canary if told.before is not None else None
        self._events.append(configured(record, revision))
        tried = record.canary or was
        if tried and (step := canary_step(was, record, revision, self._audience.count(record.scope, tried))):
            self._events.append(step)

    def _changed(self, plan: Plan, revision: int) -> bytes:
        scopes = [self._effect(effect) for effect in plan.effects[:_SCOPES_SHOWN]]
        omitted = len(plan.effects) - len(scopes)
        while True:
            encoded = encode(config.ConfigChanged(revision=revision, scopes=tuple(scopes), omitted=omitted))
            if len(encoded) <= self._max_bytes or not scopes:
                return encoded
            kept = len(scopes) // 2
            scopes, omitted = scopes[:kept], omitted + len(scopes) - kept

    def _effect(self, effect: Effect) -> config.ChangedScope:
        known = self._configs.own(effect.scope)
        service = self._registry.catalog.services.get(effect.scope)
        if effect.canary is not None:
            instances = self._audience.count(effect.scope, effect.canary)
        else:
            instances = len(service.entries) if service else 0
        return config.ChangedScope(
            service=effect.scope,
            revision=known.revision if known else 0,
            differences=effect.differences[:_DIFFERENCES_SHOWN],
            instances=instances,
        )

    # --- inside: reading

    def _put_for(self, scope: str) -> dict[str, Any]:
        known = self._configs.own(scope)
        return known.record.values if known else {}

    def _fitting(self, encoded: bytes) -> bytes:
        return fitting(encoded, self._max_bytes)
