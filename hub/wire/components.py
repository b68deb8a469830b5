"""Components: the files that the services of a platform share, in versions. On `hub.components.*`.

The content of a file lies in the JetStream object store `hub-components` (ADR-20) under its SHA-256, and so does the
list of the files of a version, its tree: `{"files": [...]}` with a `ComponentFile` for each, by path. What makes a
version is one small record in the bucket `hub-manifests` that names the tree. It is republished by the NATS server on
`hub.delta.components`, so that whoever follows hears of it at once, and reads the rest from JetStream, hubs or not.

Every version is one revision of that bucket, growing; the newest 64 are kept, with all that they name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from hub.wire.names import Author, Reason

HISTORY: Final = 64
"""Versions that are kept."""
MAX_PATH: Final = 512
"""Bytes of a path in UTF-8."""
MAX_TREE: Final = 8 * 1024 * 1024
"""Bytes of a tree, as JSON."""
MAX_CHANGED: Final = 50
"""Paths that a record names as changed."""

Sha256 = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{64}\Z",
        description="A SHA-256 in hexadecimal",
        extra={"expected": "a SHA-256: 64 of 0-9 and a-f"},
    ),
]
Revision = Annotated[int, Meta(ge=0)]
Size = Annotated[int, Meta(ge=0)]
ComponentsKind = Literal["folder", "publish", "rollback"]
"""What made a version: the watched folder of the hub, an operator's `publish`, going back."""


class ComponentFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of a version."""

    path: Annotated[str, Meta(min_length=1, max_length=MAX_PATH)]
    """Relative, with `/` between its parts, none of which is `.` or `..`."""
    sha256: Sha256
    size: Size
    """Bytes."""
    executable: bool = False


class ComponentTree(Struct, frozen=True, kw_only=True):
    """The files of a version, as they lie in the object store."""

    files: tuple[ComponentFile, ...]
    """By path."""


class ComponentsRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version as stored."""

    kind: ComponentsKind
    at: datetime
    tree: Sha256
    """Of the list of its files, which lies in the object store under this name."""
    files: Size
    """How many there are."""
    bytes: Size
    """How large they are together."""
    folder: str = ""
    """The tree that the hub's folder said last. It is published again only when it says something else."""
    target: Revision = 0
    """Of a rollback, the revision that it went back to."""
    author: str = ""
    reason: str = ""
    changed: tuple[str, ...] = ()
    """The paths that differ from the version before, the first fifty."""


# --- asking


class GetComponents(Struct, frozen=True, kw_only=True):
    """Asks for the files of a version."""

    revision: Revision = 0
    """Which one; 0 for the newest."""
    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many files at most; 0 for as many as the reply can hold."""
    after: str = ""
    """Only files whose path comes after this."""


class Components(Struct, frozen=True, kw_only=True):
    """One version. At revision 0 nothing was ever published."""

    revision: int
    files: tuple[ComponentFile, ...]
    """By path."""
    count: int
    """How many files the version has, of which these are some."""
    bytes: int
    """How large all of them are together."""
    tree: str
    """The name of the list of them in the object store; empty where nothing was published."""
    kind: ComponentsKind | None = None
    author: str = ""
    reason: str = ""
    at: datetime | None = None
    changed: tuple[str, ...] = ()
    next: str | None = None
    """What to ask for as `after`, where the list was cut."""


class ComponentsHistoryQuery(Struct, frozen=True, kw_only=True):
    """Asks for the versions, newest first."""

    limit: Annotated[int, Meta(ge=0, le=HISTORY)] = 0
    """How many at most; 0 for all that are kept."""
    before: Revision = 0
    """Only those older than this; 0 for no bound."""


class ComponentsVersion(Struct, frozen=True, kw_only=True):
    """One version, without its files."""

    revision: int
    kind: ComponentsKind
    at: datetime
    author: str
    reason: str
    tree: str
    files: int
    bytes: int
    target: int
    changed: tuple[str, ...]


class ComponentsHistory(Struct, frozen=True, kw_only=True):
    """The versions that are kept, newest first."""

    versions: tuple[ComponentsVersion, ...]
    next: int | None = None
    """What to ask for as `before`, where the list was cut."""


# --- changing


class PublishComponents(Struct, frozen=True, kw_only=True):
    """Makes files that lie in the object store already the newest version."""

    tree: Sha256
    """The name of the list of them in the object store."""
    author: Author = ""
    reason: Reason = ""
    revision: Revision | None = None
    """Only if this is the newest revision (0: there is none); null replaces whatever there is."""


class RollbackComponents(Struct, frozen=True, kw_only=True):
    """Makes an earlier version the newest. The hub's folder stays as it is, and counts again when it changes."""

    target: Annotated[int, Meta(ge=1)]
    """The revision to go back to."""
    author: Author = ""
    reason: Reason = ""
    revision: Revision | None = None
    """Only if this is the newest revision; null replaces whatever there is."""


class ComponentsPublished(Struct, frozen=True, kw_only=True):
    """It is the newest version, as of `revision`."""

    revision: int
    """The present one, where nothing had to be changed."""
    files: int
    bytes: int
    changed: tuple[str, ...]
    """The paths that differ from the version before, the first fifty; empty where nothing had to be changed."""
