"""Configuration: what services are to run with, who said so, and who runs with it. On `hub.config.*`.

A scope is a service, or `_all` for what every service shares. Its configuration is a JSON object. What a service runs
with is laid together from layers, later ones over earlier ones, object by object: the defaults in its schema, `_all`
(the file, then what was put), the service (the file, then what was put). What was put is another for those who try a
canary of it.

Every change is one revision of the bucket `hub-config`, unique in it and growing. A service runs at the higher one of
its own newest revision and that of `_all`. The record of each change is kept whole, and republished by the NATS server
on `hub.delta.config.<scope>`, so that whoever follows needs to ask for nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from hub.wire.canary import Canary, CanaryId, CanaryPlan, CanaryState
from hub.wire.names import Author, InstanceId, Reason, ServiceName

EVERYBODY: Final = "_all"
"""The scope of what every service shares."""
MAX_CHANGES: Final = 64
"""Scopes in one atomic change."""
HISTORY: Final = 64
"""Revisions of each scope that NATS keeps. A PostgreSQL, where there is one, keeps all of them."""
MAX_REVISIONS: Final = 1000
"""Revisions in one answer."""

Scope = Annotated[
    str,
    Meta(
        pattern=r"^(_all|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)\Z",
        description="A service, or `_all`",
        extra={"expected": "the name of a service, or '_all'"},
    ),
]
Revision = Annotated[int, Meta(ge=0)]
Pointer = str
"""A place in a configuration, as JSON Pointer has it (RFC 6901): `/risk/limits/0`; empty for all of it."""
Layer = Literal["schema", "all-file", "all", "all-canary", "file", "service", "canary"]
"""Where a value comes from: the defaults in the schema, the shared file, what was put for `_all`, a canary of that, the
service's file, what was put for the service, a canary of that."""
ChangeKind = Literal["put", "patch", "rollback", "delete", "schema", "file", "canary", "promote", "abort"]
"""What a change was. `canary` puts for those who try it; `promote` puts the same for all, `abort` takes it back."""


class ConfigRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The configuration of one scope as stored, with what the change that made it was."""

    scope: str
    kind: ChangeKind
    at: datetime
    values: dict[str, Any] = {}
    """What was put."""
    file: dict[str, Any] = {}
    """What the file of this scope says."""
    schema: dict[str, Any] | None = None
    """The JSON Schema that the service's configuration must be valid by."""
    defaults: dict[str, Any] = {}
    """The defaults that the schema gives."""
    schema_registered: bool = False
    """Whether an instance has registered the schema; else it was put, or taken away."""
    schema_version: str = ""
    """The version of the instance that registered one last; kept when another is put."""
    author: str = ""
    reason: str = ""
    changed: tuple[Pointer, ...] = ()
    """What this change changed, the first hundred places."""
    canary: Canary | None = None
    """What some instances try before it is put for all."""


class Violation(Struct, frozen=True, kw_only=True):
    """Where a configuration is not as its schema wants it."""

    path: Pointer
    expected: str
    """What the schema wants there, in words."""
    got: str
    """What is there, cut where it is long."""


class ConfigDifference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place in which two configurations differ. `before` or `after` is missing where the place is."""

    path: Pointer
    change: Literal["added", "changed", "removed"]
    before: Any = None
    after: Any = None


# --- asking


class GetConfig(Struct, frozen=True, kw_only=True):
    """Asks what a service is to run with; of `_all`, what is shared."""

    service: Scope
    instance: InstanceId | None = None
    """For which of its instances: it may be one that tries a canary. null for those who try none."""


class Config(Struct, frozen=True, kw_only=True):
    """What a service is to run with. A service of which nothing is stored has what `_all` says, at its revision."""

    service: str
    revision: int
    """At which the service runs with this: the higher one of its own and that of `_all`; 0 where there is nothing."""
    own_revision: int
    """The newest of this scope alone, for compare-and-set."""
    values: dict[str, Any]
    """All layers laid together."""
    origins: dict[Pointer, Layer]
    """Where each value comes from that is no object."""
    put: dict[str, Any]
    """The layer that `hub.config.put` writes, alone."""
    author: str = ""
    reason: str = ""
    at: datetime | None = None
    """When this scope was changed last, by whom, and why."""
    canary: CanaryState | None = None
    """The canary of this scope that is being tried, by whomever."""


class GetConfigRecords(Struct, frozen=True, kw_only=True):
    """Asks for what is stored for a service, which who may not read the bucket lays together itself."""

    service: ServiceName


class StoredConfig(Struct, frozen=True, kw_only=True):
    """The newest record of a scope."""

    revision: Revision
    """Its revision; 0 where there is none."""
    record: ConfigRecord | None


class ConfigRecords(Struct, frozen=True, kw_only=True):
    """What is stored for a service, both scopes as they were at one time."""

    service: str
    own: StoredConfig
    shared: StoredConfig
    """That of `_all`."""


class ListConfigs(Struct, frozen=True, kw_only=True):
    """Asks which scopes there is anything stored of, whether or not anybody of them is registered."""

    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many at most; 0 for as many as the reply can hold."""
    after: Annotated[str, Meta(max_length=128)] = ""
    """Only scopes after this one."""


class ListedConfig(Struct, frozen=True, kw_only=True):
    """A scope, and what its newest change was."""

    service: str
    own_revision: int
    kind: ChangeKind
    at: datetime
    author: str
    reason: str
    has_schema: bool


class ConfigList(Struct, frozen=True, kw_only=True):
    """The scopes by name."""

    revision: int
    """The newest of all scopes."""
    scopes: tuple[ListedConfig, ...]
    next: str | None = None
    """What to ask for as `after`, where the list was cut."""


class ValidateConfig(Struct, frozen=True, kw_only=True):
    """Asks whether these values could be put. Nothing is stored."""

    service: Scope
    values: dict[str, Any]


class ConfigVerdict(Struct, frozen=True, kw_only=True):
    """Whether they could; every violation at once."""

    valid: bool
    violations: tuple[Violation, ...] = ()


class ConfigHistoryQuery(Struct, frozen=True, kw_only=True):
    """Asks for the revisions of a scope, newest first."""

    service: Scope
    limit: Annotated[int, Meta(ge=0, le=MAX_REVISIONS)] = 0
    """How many at most; 0 for 64, which is what NATS keeps of each scope."""
    before: Revision = 0
    """Only those older than this; 0 for no bound."""


class ConfigRevision(Struct, frozen=True, kw_only=True):
    """One change of a scope."""

    revision: int
    kind: ChangeKind
    at: datetime
    author: str
    reason: str
    changed: tuple[Pointer, ...]


class ConfigHistory(Struct, frozen=True, kw_only=True):
    """The revisions that are kept, newest first."""

    service: str
    revisions: tuple[ConfigRevision, ...]
    next: int | None = None
    """What to ask for as `before`, where the list was cut."""
    complete: bool = True
    """Whether all that is older can be had; false where PostgreSQL, which may have more, cannot be read now."""


class ConfigDiffQuery(Struct, frozen=True, kw_only=True):
    """Asks in what two revisions of a scope differ: in what was put, in the file, not in what `_all` adds."""

    service: Scope
    base: Revision = 0
    """The earlier one; 0 for the one before `target`."""
    target: Revision = 0
    """The later one; 0 for the newest."""


class ConfigDiff(Struct, frozen=True, kw_only=True):
    """In what they differ."""

    service: str
    base: int
    """0 where `target` is the first."""
    target: int
    differences: tuple[ConfigDifference, ...]


# --- changing


class ConfigChange(Struct, frozen=True, kw_only=True):
    """What one scope is to be."""

    service: Scope
    values: dict[str, Any]
    """Of a put, all that is to be in the layer; of a patch, a JSON merge patch (RFC 7396) of it: null removes."""
    revision: Revision | None = None
    """Only if this is the scope's newest revision (0: it has none); null changes whatever there is."""


class _Signed(Struct, frozen=True, kw_only=True):
    """Who changes something, why, and whether it is only to be shown."""

    author: Author = ""
    reason: Reason = ""
    dry_run: bool = False
    """Whether to decide and answer as if, and store nothing."""


class PutConfig(_Signed, frozen=True, kw_only=True):
    """Puts the configuration of one scope, or of many in one atomic step, all or nothing."""

    changes: Annotated[tuple[ConfigChange, ...], Meta(min_length=1, max_length=MAX_CHANGES)]
    canary: CanaryPlan | None = None
    """Whether some instances are to try it first, and which; null puts it for all at once."""


class PatchConfig(_Signed, frozen=True, kw_only=True):
    """Patches what was put for one scope, or for many in one atomic step, all or nothing."""

    changes: Annotated[tuple[ConfigChange, ...], Meta(min_length=1, max_length=MAX_CHANGES)]
    canary: CanaryPlan | None = None
    """Whether some instances are to try it first, and which; null puts it for all at once."""


class PromoteCanary(_Signed, frozen=True, kw_only=True):
    """Puts for all what some try, before its time. What was changed in one step is promoted in one step."""

    service: Scope
    canary: CanaryId | None = None
    """Only this one, by its id; null whichever is tried."""


class AbortCanary(_Signed, frozen=True, kw_only=True):
    """Takes back what some try. What was changed in one step is taken back in one step."""

    service: Scope
    canary: CanaryId | None = None
    """Only this one, by its id; null whichever is tried."""


class RollbackConfig(_Signed, frozen=True, kw_only=True):
    """Puts what was put at an earlier revision. The schema is the present one, and may refuse it."""

    service: Scope
    target: Annotated[int, Meta(ge=1)]
    """The revision to go back to."""
    revision: Revision | None = None
    """Only if this is the scope's newest revision; null changes whatever there is."""


class DeleteConfig(_Signed, frozen=True, kw_only=True):
    """Puts nothing: what the file, `_all` and the schema say remains. The history is kept."""

    service: Scope
    revision: Revision | None = None
    """Only if this is the scope's newest revision; null changes whatever there is."""


class GetConfigSchema(Struct, frozen=True, kw_only=True):
    """Asks for the schema of a service's configuration."""

    service: ServiceName


class ConfigSchema(Struct, frozen=True, kw_only=True):
    """The schema; null where there is none."""

    service: str
    own_revision: int
    schema: dict[str, Any] | None


class PutConfigSchema(_Signed, frozen=True, kw_only=True):
    """Gives a service's configuration a schema (JSON Schema, draft 2020-12), or takes it away."""

    service: ServiceName
    schema: dict[str, Any] | None
    """null takes it away."""
    revision: Revision | None = None
    """Only if this is the service's newest revision; null changes whatever there is."""
    force: bool = False
    """Whether to take it even where what is stored is not valid by it."""


class ChangedScope(Struct, frozen=True, kw_only=True):
    """What a change does to one service: in what it runs with, and to how many."""

    service: str
    revision: int
    """The scope's new revision; of a dry run, and of who only shares what changed, its present one."""
    differences: tuple[ConfigDifference, ...]
    instances: int
    """How many of its instances are registered; of a canary, how many of these try it."""


class ConfigChanged(Struct, frozen=True, kw_only=True):
    """It is stored, as of `revision`; or would be."""

    revision: int
    """0 of a dry run, and where nothing had to be changed."""
    scopes: tuple[ChangedScope, ...]
    """Those that were named; then the services that share what changed in `_all`."""
    omitted: int = 0
    """How many more there are of the latter."""


class ReloadConfig(Struct, frozen=True, kw_only=True):
    """Asks the hub to read its configuration files now."""


class FileOutcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of one file."""

    service: str
    """The scope that the file is called after."""
    outcome: Literal["applied", "unchanged", "refused"]
    reason: str = ""
    """Which file is refused, where in it, and why; what it said before stays in force."""


class Reloaded(Struct, frozen=True, kw_only=True):
    """The files were read. Empty where the hub has none."""

    files: tuple[FileOutcome, ...]
