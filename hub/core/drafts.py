"""What one scope is to be, and the record that this comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from hub.core.canary import check, compared
from hub.core.layers import differences, laid_over, too_deep
from hub.errors import Conflict, InvalidRequest
from hub.wire.canary import Canary, CanaryPlan, CanaryState
from hub.wire.config import (
    ChangeKind,
    ConfigRecord,
    Pointer,
    Scope,
    Violation,
)

_MOST_PLACES: Final = 100
"""Places that a record names as changed."""


class Validator(Protocol):
    """A compiled schema."""

    def violations(self, values: dict[str, Any]) -> Sequence[Violation]:
        """Where the values are not as the schema wants them; empty where they are."""

    def defaults(self) -> dict[str, Any]:
        """The defaults that the schema gives."""

    def describes(self, name: str) -> bool:
        """Whether the schema says anything of the member `name`, by that name."""


Compile = Callable[[dict[str, Any]], Validator]
"""Makes a validator of a schema. Raises InvalidRequest where it is none."""


class Readers(Protocol):
    """Knows who may read which secret."""

    def refusal(self, scope: str, name: str) -> str | None:
        """Why the configuration of a scope may not refer to a secret, in words; None where it may."""


class Known(NamedTuple):
    """The newest record of a scope, and the revision that made it so."""

    record: ConfigRecord
    revision: int


class Draft(NamedTuple):
    """What one scope is to be, and what has been asked of the revision before it."""

    scope: Scope
    values: dict[str, Any] | UnsetType = UNSET
    file: dict[str, Any] | UnsetType = UNSET
    schema: dict[str, Any] | UnsetType | None = UNSET
    revision: int | None = None
    """Only over this revision; None for whichever there is."""
    canary: CanaryPlan | None = None
    """How the values are to be tried first; None puts them for all."""
    ends: str = ""
    """The canary that this ends, by its id; empty where none may be under way."""
    version: str | None = None
    """Of the instance that registers the schema; None where it is put."""


class Signature(NamedTuple):
    """Who changes something, how, when, and why."""

    kind: ChangeKind
    author: str
    reason: str
    at: datetime
    id: str = ""
    """That of the canary that begins; no other has it."""


def drafted(draft: Draft, known: Known | None, signature: Signature, compile_schema: Compile) -> ConfigRecord:
    """The record that a draft comes to, which nothing has been checked of but that it can be made.

    Raises:
        Conflict: its scope is not at the revision that was asked for, or tries a canary that this does not end.
        InvalidRequest: a configuration nests too deep, or a schema or a canary is none.
    """
    newest = known.revision if known else 0
    if draft.revision is not None and draft.revision != newest:
        raise Conflict(
            f"{draft.scope}: expected revision {draft.revision}, its newest is {newest}"
            + (f", by {known.record.author or 'nobody known'} at {known.record.at:%Y-%m-%d %H:%M:%S}" if known else "")
            + "; read it again, and change that",
            field="revision",
        )
    before = known.record if known else ConfigRecord(scope=draft.scope, kind=signature.kind, at=signature.at)
    _refuse_disturbance(draft, before.canary)
    for field in ("values", "file"):
        if too_deep(getattr(draft, field)):
            raise InvalidRequest(f"{draft.scope}: {field} nests too deep", field=field)
    given: dict[str, Any] = {
        name: value
        for name, value in (("values", draft.values), ("file", draft.file), ("schema", draft.schema))
        if value is not UNSET
    }
    if isinstance(draft.schema, dict):
        given["defaults"] = compile_schema(draft.schema).defaults()
    elif draft.schema is None:
        given["defaults"] = {}
    if draft.schema is not UNSET:
        given["schema_registered"] = draft.version is not None
        given["schema_version"] = before.schema_version if draft.version is None else draft.version
    if draft.ends:
        given["canary"] = None
    if draft.canary is not None:
        check(draft.canary.target)
        given["canary"] = _canary(draft.canary, given.pop("values"), signature)
    return msgspec.structs.replace(
        before,
        kind=signature.kind,
        author=signature.author,
        reason=signature.reason,
        at=signature.at,
        changed=(),
        **given,
    )


def is_change(before: ConfigRecord | None, after: ConfigRecord) -> bool:
    """Whether they differ in more than in who has said so."""
    return before is None or _content(before) != _content(after)


def signed(before: ConfigRecord | None, after: ConfigRecord) -> ConfigRecord:
    """The record with the places in which it differs from the one before."""
    return msgspec.structs.replace(after, changed=_places(before, after))


def concerned(before: ConfigRecord | None, after: ConfigRecord) -> CanaryState | None:
    """The canary that begins or is taken back with a change, which then concerns nobody else."""
    seen_before, seen_after = compared(before, after)
    if seen_after is not after:
        return after.canary
    return before.canary if before is not None and seen_before is not before else None


def own_values(record: ConfigRecord | None) -> dict[str, Any]:
    """What a record says by itself, its file first."""
    return {} if record is None else laid_over(record.file, record.values)


def _content(record: ConfigRecord) -> bytes:
    """All that a record says of the configuration itself, whatever the order: JSON, which tells `true` from 1."""
    return msgspec.json.encode((record.values, record.file, record.schema, record.canary), order="deterministic")


def _canary(plan: CanaryPlan, values: dict[str, Any], signature: Signature) -> Canary:
    return Canary(
        id=signature.id,
        since=signature.at,
        target=plan.target,
        bake=plan.bake,
        rules=plan.rules,
        author=signature.author,
        reason=signature.reason,
        values=values,
    )


def _refuse_disturbance(draft: Draft, under_way: Canary | None) -> None:
    """What is put is one thing at a time: a canary is ended before something else is put.

    Raises:
        Conflict: there is one, and it is not the one that this ends; or there is none to be ended.
    """
    if draft.ends:
        if under_way is None or under_way.id != draft.ends:
            raise Conflict(f"{draft.scope}: the canary has been ended already")
    elif draft.values is not UNSET and under_way is not None:
        raise Conflict(
            f"{draft.scope}: a canary is being tried since {under_way.since:%Y-%m-%d %H:%M:%S}, by "
            f"{under_way.author or 'nobody known'}; promote or abort it first (hub.config.promote, hub.config.abort)"
        )


def _places(before: ConfigRecord | None, after: ConfigRecord) -> tuple[Pointer, ...]:
    before, after = compared(before, after)
    found = differences(own_values(before), own_values(after))
    return tuple(difference.path for difference in found[:_MOST_PLACES])
