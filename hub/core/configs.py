"""The configuration of every scope as a hub knows it, and what a change of it comes to. Nothing here is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from hub.core.layers import differences, laid_over, laid_together, origins, too_deep
from hub.errors import Conflict, InvalidConfig, InvalidRequest, PayloadTooLarge
from hub.wire.codec import MAX_MESSAGE_BYTES, encode
from hub.wire.config import (
    EVERYBODY,
    ChangeKind,
    Config,
    ConfigDifference,
    ConfigRecord,
    Pointer,
    Scope,
    Violation,
)

_MOST_PLACES: Final = 100
"""Places that a record names as changed."""
_MOST_SHOWN: Final = 50
"""Violations that one error names."""


class Validator(Protocol):
    """A compiled schema."""

    def violations(self, values: dict[str, Any]) -> Sequence[Violation]:
        """Where the values are not as the schema wants them; empty where they are."""

    def defaults(self) -> dict[str, Any]:
        """The defaults that the schema gives."""


Compile = Callable[[dict[str, Any]], Validator]
"""Makes a validator of a schema. Raises InvalidRequest where it is none."""


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


class Signature(NamedTuple):
    """Who changes something, how, when, and why."""

    kind: ChangeKind
    author: str
    reason: str
    at: datetime


class Effect(NamedTuple):
    """What a change does to what a service runs with."""

    scope: Scope
    differences: tuple[ConfigDifference, ...]


class Plan(NamedTuple):
    """What is to be stored, over which revision of the bucket, and what that comes to."""

    records: dict[str, bytes]
    """The encoded records, by scope; without those that would change nothing."""
    decoded: dict[str, ConfigRecord]
    base: int
    effects: tuple[Effect, ...]
    """Of each scope that was named; then of each service that shares what changes."""


class Configs:
    """What is stored of every scope, as far as this hub has heard.

    Args:
        compile_schema: Makes a validator of a schema.

    Attributes:
        revision: The newest of the whole bucket: a change is decided upon all that was stored until then.
    """

    def __init__(self, compile_schema: Compile) -> None:
        self.revision = 0
        self._compile = compile_schema
        self._known: dict[str, Known] = {}
        self._validators: dict[str, tuple[dict[str, Any], Validator]] = {}
        self._encoded: dict[str, bytes] = {}

    # --- learning

    def learn(self, scope: str, record: ConfigRecord, revision: int) -> bool:
        """A record was stored. Returns whether that is news."""
        self.reach(revision)
        known = self._known.get(scope)
        if known is not None and known.revision >= revision:
            return False
        self._known[scope] = Known(record, revision)
        if scope == EVERYBODY:
            self._encoded.clear()
        else:
            self._encoded.pop(scope, None)
        return True

    def forget(self, scope: str, revision: int) -> None:
        """A scope's records are gone: somebody has reached past the hub."""
        self.reach(revision)
        known = self._known.get(scope)
        if known is not None and known.revision <= revision:
            del self._known[scope]
            self._encoded.clear()

    def reach(self, revision: int) -> None:
        """All that was stored until this revision is known."""
        self.revision = max(self.revision, revision)

    def reset(self) -> None:
        """The bucket was made anew: its revisions begin again."""
        self.revision = 0
        self._known.clear()
        self._validators.clear()
        self._encoded.clear()

    # --- answering

    def own(self, scope: str) -> Known | None:
        """The newest record of a scope; None where there is none."""
        return self._known.get(scope)

    def scopes(self) -> Iterable[str]:
        """Every scope that has a record."""
        return self._known.keys()

    def records(self) -> Iterator[tuple[str, ConfigRecord]]:
        """The newest record of every scope that has one."""
        return ((scope, known.record) for scope, known in self._known.items())

    def wanted(self, service: str) -> int:
        """The revision that a service should run with; 0 where there is nothing."""
        known, shared = self._known.get(service), self._known.get(EVERYBODY)
        return max(known.revision if known else 0, shared.revision if shared else 0)

    def values(self, service: str) -> dict[str, Any]:
        """What a service should run with."""
        return laid_together(*self._pair(service))

    def answer(self, service: str) -> bytes:
        """The encoded `Config` of a service, kept until something changes in it."""
        encoded = self._encoded.get(service)
        if encoded is None:
            encoded = encode(self._config(service))
            if service in self._known:
                self._encoded[service] = encoded  # whoever asks for what is not there leaves nothing behind
        return encoded

    def violations(self, service: str, values: Mapping[str, Any]) -> Sequence[Violation]:
        """Where a service's configuration would not be valid, were these values put."""
        own, shared = self._pair(service)
        return self._violations(service, _with_values(own, values), shared)

    # --- deciding

    def plan(self, drafts: Sequence[Draft], signature: Signature, *, force: bool = False) -> Plan:
        """What changes come to, all or nothing.

        Args:
            drafts: What is to be, each of another scope.
            signature: Who wants it.
            force: Whether what does not fit its schema is to be stored all the same.

        Raises:
            Conflict: a scope is not at the revision that was asked for.
            InvalidConfig: what a service would run with is not as its schema wants it; every place is named.
            InvalidRequest: a scope is named twice, a configuration nests too deep, or a schema is none.
            PayloadTooLarge: a scope would be larger than a message may be.
        """
        if len({draft.scope for draft in drafts}) < len(drafts):
            raise InvalidRequest("changes: expected each service once", field="changes")
        after = {draft.scope: self._drafted(draft, signature) for draft in drafts}
        if not force:
            self._check(after)
        effects = tuple(self._effects(after))
        kept = {scope: record for scope, record in after.items() if self._is_change(scope, record)}
        signed = {scope: self._signed(scope, record) for scope, record in kept.items()}
        encoded = {scope: encode(record) for scope, record in signed.items()}
        for scope, record in encoded.items():
            if len(record) > MAX_MESSAGE_BYTES:
                raise PayloadTooLarge(
                    f"{scope}: expected a configuration of at most {MAX_MESSAGE_BYTES} bytes with its file and schema, "
                    f"got {len(record)}"
                )
        return Plan(encoded, signed, self.revision, effects)

    def _drafted(self, draft: Draft, signature: Signature) -> ConfigRecord:
        known = self._known.get(draft.scope)
        newest = known.revision if known else 0
        if draft.revision is not None and draft.revision != newest:
            raise Conflict(
                f"{draft.scope}: expected revision {draft.revision}, its newest is {newest}"
                + (
                    f", by {known.record.author or 'nobody known'} at {known.record.at:%Y-%m-%d %H:%M:%S}"
                    if known
                    else ""
                )
                + "; read it again, and change that",
                field="revision",
            )
        before = known.record if known else ConfigRecord(scope=draft.scope, kind=signature.kind, at=signature.at)
        for field in ("values", "file"):
            if too_deep(getattr(draft, field)):
                raise InvalidRequest(f"{draft.scope}: {field} nests too deep", field=field)
        given: dict[str, Any] = {
            name: value
            for name, value in (("values", draft.values), ("file", draft.file), ("schema", draft.schema))
            if value is not UNSET
        }
        if isinstance(draft.schema, dict):
            given["defaults"] = self._compile(draft.schema).defaults()
        elif draft.schema is None:
            given["defaults"] = {}
        return msgspec.structs.replace(
            before,
            kind=signature.kind,
            author=signature.author,
            reason=signature.reason,
            at=signature.at,
            changed=(),
            **given,
        )

    def _is_change(self, scope: str, after: ConfigRecord) -> bool:
        known = self._known.get(scope)
        return known is None or _content(known.record) != _content(after)

    def _signed(self, scope: str, after: ConfigRecord) -> ConfigRecord:
        known = self._known.get(scope)
        return msgspec.structs.replace(after, changed=_places(known.record if known else None, after))

    def _check(self, after: Mapping[str, ConfigRecord]) -> None:
        """That everybody who is touched would run with something valid.

        Who only shares what changes, and is not valid as it is (its schema was forced), holds nobody else up.
        """
        shared = self._after(after, EVERYBODY)
        touched = {*after, *self._known} if EVERYBODY in after else set(after)
        broken: list[str] = []
        for service in sorted(touched - {EVERYBODY}):
            found = self._violations(service, self._after(after, service), shared)
            if found and service not in after and self._violations(service, *self._pair(service)):
                continue
            broken += [
                f"{service}: {violation.path or '/'}: expected {violation.expected}, got {violation.got}"
                for violation in found
            ]
        if broken:
            more = f"; and {len(broken) - _MOST_SHOWN} more" if len(broken) > _MOST_SHOWN else ""
            raise InvalidConfig("; ".join(broken[:_MOST_SHOWN]) + more, field="values")

    def _violations(self, service: str, own: ConfigRecord | None, shared: ConfigRecord | None) -> Sequence[Violation]:
        if own is None or own.schema is None:
            return ()
        return self._validator(service, own.schema).violations(laid_together(own, shared))

    def _validator(self, service: str, schema: dict[str, Any]) -> Validator:
        """That of the service's schema, compiled once; one that is not stored yet leaves nothing behind."""
        known = self._known.get(service)
        if known is None or known.record.schema != schema:
            return self._compile(schema)
        compiled = self._validators.get(service)
        if compiled is None or compiled[0] != schema:
            compiled = self._validators[service] = schema, self._compile(schema)
        return compiled[1]

    def _effects(self, after: Mapping[str, ConfigRecord]) -> Iterable[Effect]:
        shared_before, shared_after = self._record(EVERYBODY), self._after(after, EVERYBODY)
        for scope in after:
            if scope == EVERYBODY:
                yield Effect(scope, differences(_own_values(shared_before), _own_values(shared_after)))
            else:
                before = laid_together(self._record(scope), shared_before)
                yield Effect(scope, differences(before, laid_together(after[scope], shared_after)))
        if EVERYBODY in after:
            for service in sorted(self._known.keys() - after.keys()):
                own = self._record(service)
                found = differences(laid_together(own, shared_before), laid_together(own, shared_after))
                if found:
                    yield Effect(service, found)

    # --- inside

    def _pair(self, service: str) -> tuple[ConfigRecord | None, ConfigRecord | None]:
        shared = self._record(EVERYBODY)
        return (None if service == EVERYBODY else self._record(service)), shared

    def _record(self, scope: str) -> ConfigRecord | None:
        known = self._known.get(scope)
        return known.record if known else None

    def _after(self, after: Mapping[str, ConfigRecord], scope: str) -> ConfigRecord | None:
        return after[scope] if scope in after else self._record(scope)

    def _config(self, service: str) -> Config:
        known = self._known.get(service)
        pair = self._pair(service)
        return Config(
            service=service,
            revision=self.wanted(service),
            own_revision=known.revision if known else 0,
            values=laid_together(*pair),
            origins=origins(*pair),
            put=known.record.values if known else {},
            author=known.record.author if known else "",
            reason=known.record.reason if known else "",
            at=known.record.at if known else None,
        )


def _with_values(own: ConfigRecord | None, values: Mapping[str, Any]) -> ConfigRecord | None:
    return None if own is None else msgspec.structs.replace(own, values=dict(values))


def _own_values(record: ConfigRecord | None) -> dict[str, Any]:
    """What a record says by itself, its file first."""
    return {} if record is None else laid_over(record.file, record.values)


def _content(record: ConfigRecord) -> bytes:
    """All that a record says of the configuration itself, whatever the order: JSON, which tells `true` from 1."""
    return msgspec.json.encode((record.values, record.file, record.schema), order="deterministic")


def _places(before: ConfigRecord | None, after: ConfigRecord) -> tuple[Pointer, ...]:
    found = differences(_own_values(before), _own_values(after))
    return tuple(difference.path for difference in found[:_MOST_PLACES])
