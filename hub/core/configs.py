"""The configuration of every scope as a hub knows it, and what a change of it comes to. Nothing here is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import Any, Final, NamedTuple

import msgspec

from hub.core import flagreading
from hub.core.canary import Traits, compared, promoted, state
from hub.core.drafts import (
    Compile,
    Draft,
    Known,
    Readers,
    Signature,
    Validator,
    concerned,
    drafted,
    is_change,
    own_values,
    signed,
)
from hub.core.layers import differences, laid_member, laid_over, laid_together, origins, too_deep
from hub.core.references import references
from hub.errors import InvalidConfig, InvalidRequest, PayloadTooLarge
from hub.wire.canary import Canary, CanaryState
from hub.wire.codec import MAX_MESSAGE_BYTES, encode
from hub.wire.config import (
    EVERYBODY,
    Config,
    ConfigDifference,
    ConfigRecord,
    Pointer,
    Scope,
    Violation,
)
from hub.wire.flags import FLAGS

_MOST_SHOWN: Final = 50
"""Violations that one error names."""


class Effect(NamedTuple):
    """What a change does to what a service runs with."""

    scope: Scope
    differences: tuple[ConfigDifference, ...]
    canary: CanaryState | None = None
    """Whom alone it concerns: those who try this; None where it concerns all."""


class Plan(NamedTuple):
    """What is to be stored, over which revision of the bucket, and what that comes to."""

    records: dict[str, bytes]
    """The encoded records, by scope; without those that would change nothing."""
    decoded: dict[str, ConfigRecord]
    before: dict[str, ConfigRecord | None]
    """The records that these take the place of."""
    base: int
    effects: tuple[Effect, ...]
    """Of each scope that was named; then of each service that shares what changes."""


class Configs:
    """What is stored of every scope, as far as this hub has heard.

    Args:
        compile_schema: Makes a validator of a schema.
        readers: Knows who may read which secret; None lets configurations refer to any.

    Attributes:
        revision: The newest of the whole bucket: a change is decided upon all that was stored until then.
    """

    def __init__(self, compile_schema: Compile, readers: Readers | None = None) -> None:
        self.revision = 0
        self._readers = readers
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
        """The newest record of a scope, and its revision; None where there is none."""
        return self._known.get(scope)

    def record(self, scope: str) -> ConfigRecord | None:
        """The newest record of a scope; None where there is none."""
        known = self._known.get(scope)
        return known.record if known else None

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

    def values(self, service: str, instance: Traits | None = None) -> dict[str, Any]:
        """What a service should run with, or one instance of it."""
        return laid_together(*self._pair(service), instance)

    def canaries(self, service: str) -> Iterator[Canary]:
        """What instances of a service may be trying: its own canary, then that of `_all`."""
        for record in (self.record(service), self.record(EVERYBODY)):
            if record is not None and record.canary is not None:
                yield record.canary

    def under_way(self) -> dict[str, list[str]]:
        """Every canary that is being tried, by its id, with the scopes that it is of."""
        found: dict[str, list[str]] = {}
        for scope, record in self.records():
            if record.canary is not None:
                found.setdefault(record.canary.id, []).append(scope)
        return found

    def answer(self, service: str, instance: Traits | None = None) -> bytes:
        """The encoded `Config` of a service, kept until something changes in it; or that of one instance."""
        if instance is not None:
            return encode(self._config(service, instance))
        encoded = self._encoded.get(service)
        if encoded is None:
            encoded = encode(self._config(service))
            if service in self._known:
                self._encoded[service] = encoded  # whoever asks for what is not there leaves nothing behind
        return encoded

    def violations(self, service: str, values: Mapping[str, Any]) -> Sequence[Violation]:
        """Where a service's configuration would not be valid, were these values put."""
        own, shared = self._pair(service)
        if service == EVERYBODY:
            own, found = shared, self._violations(service, None, _with_values(shared, values))
        else:
            found = self._violations(service, _with_values(own, values), shared)
        referring = () if too_deep(values) else references(laid_over(own.file if own else {}, values))
        return (*found, *self._unreadable(service, referring))

    def users(self, secret: str) -> list[str]:
        """The scopes whose own configuration refers to a secret."""
        return sorted(
            scope for scope, known in self._known.items() if any(name == secret for _, name in _referring(known.record))
        )

    def refused_secrets(self, drafts: Sequence[Draft]) -> set[str]:
        """The secrets that drafts refer to and may not, as far as is known here."""
        if self._readers is None:
            return set()
        return {
            name
            for draft in drafts
            for layer in (draft.values, draft.file)
            if not too_deep(layer)
            for _, name in references(layer)
            if self._readers.refusal(draft.scope, name) is not None
        }

    # --- deciding

    def plan(self, drafts: Sequence[Draft], signature: Signature, *, force: bool = False) -> Plan:
        """What changes come to, all or nothing.

        Args:
            drafts: What is to be, each of another scope.
            signature: Who wants it.
            force: Whether what does not fit its schema is to be stored all the same.

        Raises:
            Conflict: a scope is not at the revision that was asked for, or tries a canary that this does not end.
            InvalidConfig: what a service would run with is not as its schema wants it, has flags that cannot be
                evaluated, or refers to a secret that is not there or that it may not read; every place is named.
            InvalidRequest: a scope is named twice, a configuration nests too deep, or a schema is none.
            PayloadTooLarge: a scope would be larger than a message may be.
        """
        if len({draft.scope for draft in drafts}) < len(drafts):
            raise InvalidRequest("changes: expected each service once", field="changes")
        after = {
            draft.scope: drafted(draft, self._known.get(draft.scope), signature, self._compile) for draft in drafts
        }
        if not force:
            self._check(after)
        effects = tuple(self._effects(after))
        kept = {scope: record for scope, record in after.items() if is_change(self.record(scope), record)}
        decoded = {scope: signed(self.record(scope), record) for scope, record in kept.items()}
        for scope in (draft.scope for draft in drafts if draft.ends and draft.scope in decoded):
            if len(encode(decoded[scope])) > MAX_MESSAGE_BYTES:  # there has to be a way out of every canary
                decoded[scope] = msgspec.structs.replace(decoded[scope], changed=(), reason="")
        encoded = {scope: encode(record) for scope, record in decoded.items()}
        for scope, record in encoded.items():
            if len(record) > MAX_MESSAGE_BYTES:
                tried = ", and what is tried" if decoded[scope].canary else ""
                raise PayloadTooLarge(
                    f"{scope}: expected a configuration of at most {MAX_MESSAGE_BYTES} bytes with its file and schema"
                    f"{tried}, got {len(record)}"
                )
        before = {scope: self.record(scope) for scope in decoded}
        return Plan(encoded, decoded, before, self.revision, effects)

    def _check(self, after: Mapping[str, ConfigRecord]) -> None:
        """That everybody who is touched would run with something valid.

        Who only shares what changes, and is not valid as it is (its schema was forced), holds nobody else up.
        """
        shared = self._after(after, EVERYBODY)
        touched = {*after, *self._known} if EVERYBODY in after else set(after)
        broken: list[str] = []
        for service in sorted(touched):
            own = None if service == EVERYBODY else self._after(after, service)
            found = self._violations(service, own, shared)
            if found and service not in after and self._violations(service, *self._pair(service)):
                continue
            broken += [_told(service, violation) for violation in found]
        for scope, record in sorted(after.items()):
            found = self._unreadable(scope, dict.fromkeys(_referring(record)))
            broken += [_told(scope, violation) for violation in found]
        if broken:
            more = f"; and {len(broken) - _MOST_SHOWN} more" if len(broken) > _MOST_SHOWN else ""
            raise InvalidConfig("; ".join(broken[:_MOST_SHOWN]) + more, field="values")

    def _violations(self, service: str, own: ConfigRecord | None, shared: ConfigRecord | None) -> Sequence[Violation]:
        """Of what any instance would run with, whether it tries a canary or not.

        Of `_all`, where nothing is a service's own, it is what a service would run with of which nothing is stored.
        """
        for for_own, for_all in product(_variants(own), _variants(shared)):
            if found := [*_of_flags(for_own, for_all), *self._of_schema(service, for_own, for_all)]:
                return found
        return ()

    def _of_schema(self, service: str, own: ConfigRecord | None, shared: ConfigRecord | None) -> Sequence[Violation]:
        if own is None or own.schema is None:
            return ()
        validator = self._validator(service, own.schema)
        values = laid_together(own, shared)
        if not validator.describes(FLAGS):
            values.pop(FLAGS, None)
        return validator.violations(values)

    def _unreadable(self, scope: str, referring: Iterable[tuple[Pointer, str]]) -> Sequence[Violation]:
        """Which references of a scope are to a secret that it may not read."""
        if self._readers is None:
            return ()
        expected = "a secret that there is" if scope == EVERYBODY else f"a secret that {scope} may read"
        return [
            Violation(path=path, expected=expected, got=refusal)
            for path, name in referring
            if (refusal := self._readers.refusal(scope, name)) is not None
        ]

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
        """What the change does to those whom it concerns: of a canary, to those who try it."""
        shared_before = shared_after = self.record(EVERYBODY)
        if EVERYBODY in after:
            shared_before, shared_after = compared(shared_before, after[EVERYBODY])
        for scope in after:
            own_before, own_after = compared(self.record(scope), after[scope])
            whom = concerned(self.record(scope), after[scope])
            if scope == EVERYBODY:
                yield Effect(scope, differences(own_values(own_before), own_values(own_after)), whom)
            else:
                before = laid_together(own_before, shared_before)
                yield Effect(scope, differences(before, laid_together(own_after, shared_after)), whom)
        if EVERYBODY in after:
            whom = concerned(self.record(EVERYBODY), after[EVERYBODY])
            for service in sorted(self._known.keys() - after.keys()):
                own = self.record(service)
                found = differences(laid_together(own, shared_before), laid_together(own, shared_after))
                if found:
                    yield Effect(service, found, whom)

    # --- inside

    def _pair(self, service: str) -> tuple[ConfigRecord | None, ConfigRecord | None]:
        shared = self.record(EVERYBODY)
        return (None if service == EVERYBODY else self.record(service)), shared

    def _after(self, after: Mapping[str, ConfigRecord], scope: str) -> ConfigRecord | None:
        return after[scope] if scope in after else self.record(scope)

    def _config(self, service: str, instance: Traits | None = None) -> Config:
        known = self._known.get(service)
        pair = self._pair(service)
        return Config(
            service=service,
            revision=self.wanted(service),
            own_revision=known.revision if known else 0,
            values=laid_together(*pair, instance),
            origins=origins(*pair, instance),
            put=known.record.values if known else {},
            author=known.record.author if known else "",
            reason=known.record.reason if known else "",
            at=known.record.at if known else None,
            canary=state(known.record.canary) if known and known.record.canary else None,
        )


def _with_values(own: ConfigRecord | None, values: Mapping[str, Any]) -> ConfigRecord:
    own = own or ConfigRecord(scope="", kind="put", at=datetime.min)
    return msgspec.structs.replace(own, values=dict(values))


def _of_flags(own: ConfigRecord | None, shared: ConfigRecord | None) -> Sequence[Violation]:
    """Who has no flags of its own has those of `_all`, which are looked at once."""
    if own is not None and not any(FLAGS in layer for layer in (own.defaults, own.file, own.values)):
        return ()
    return flagreading.read(laid_member(FLAGS, own, shared)).violations


def _variants(record: ConfigRecord | None) -> tuple[ConfigRecord | None, ...]:
    """What there is for those who do not try a canary, and for those who do."""
    return (record,) if record is None or record.canary is None else (record, promoted(record))


def _told(scope: str, violation: Violation) -> str:
    return f"{scope}: {violation.path or '/'}: expected {violation.expected}, got {violation.got}"


def _referring(record: ConfigRecord) -> Iterator[tuple[Pointer, str]]:
    """Every reference to a secret in what a scope itself brings to what services run with, its canary's too."""
    for variant in _variants(record):
        if variant is not None:
            yield from references(laid_over(variant.defaults, own_values(variant)))
