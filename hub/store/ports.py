"""What the hub asks of a store: a few buckets of keys with revisions, and word of every change to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from hub.errors import Conflict


class RevisionConflict(Conflict):
    """A compare-and-set lost: the key is no longer at the expected revision. Nothing was written."""

    code = "conflict"
    retryable = True


class Entry(NamedTuple):
    """A key's newest value, or its deletion (`value` None), and the revision that made it so."""

    key: str
    value: bytes | None
    revision: int


class Listener(Protocol):
    """Told of every change, in order, on the event loop. Must not block and must not raise."""

    def on_put(self, key: str, value: bytes, revision: int) -> None:
        """The key now has this value. May be told again what it already knows, after a re-read."""

    def on_delete(self, key: str, revision: int) -> None:
        """The key is gone (deleted, expired, or found missing by a re-read)."""

    def on_reset(self) -> None:
        """The bucket was recreated: revisions start again, so none seen before may be compared with one seen after."""

    def on_synced(self, revision: int) -> None:
        """Everything stored up to `revision` has been told: after the first read and after every re-read."""

    def on_lost(self, reason: str) -> None:
        """Changes may be missing from here on, until `on_synced`."""


class Watch(Protocol):
    """A running watch. Leaving its context ends it."""

    @property
    def revision(self) -> int:
        """The newest revision that the listener was told of; 0 before the first."""

    @property
    def synced(self) -> bool:
        """Whether the listener knows everything as far as the watch can tell."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Bucket(Protocol):
    """Keys with revisions. A revision is unique in its bucket and grows with every write to any key."""

    async def get(self, key: str) -> Entry | None:
        """The newest entry of a key, deletions included; None where the key was never written or its marker is gone."""

    async def put(self, key: str, value: bytes, *, expected: int | None = None, ttl: int | None = None) -> int:
        """Write, and return the new revision.

        Args:
            key: What to write.
            value: Its new value.
            expected: Write only if the key's newest entry (a deletion counts) has this revision; 0 means no entry
                at all.
            ttl: Whole seconds, at least 1, after which the key goes by itself; None keeps it.

        Raises:
            RevisionConflict: `expected` is not the key's revision.
            Unavailable, DeadlineExceeded: the store cannot be written; whether it was is unknown after the latter.
        """

    async def delete(self, key: str, *, expected: int | None = None) -> int:
        """Delete, leaving a marker that watchers see, and return the marker's revision. Raises as `put` does."""

    def watch(self, listener: Listener) -> Watch:
        """Follow every key. Entering the watch returns once the listener has been told all there is."""


class Past(NamedTuple):
    """Some entries of one key.

    Attributes:
        entries: The newest first.
        more: Whether there may be older ones.
        complete: Whether none is missing among them and before them: false where what has the rest cannot be read.
    """

    entries: list[Entry]
    more: bool = False
    complete: bool = True


class History(Protocol):
    """What keys were."""

    async def history(self, key: str, *, before: int = 0, limit: int = 64) -> Past:
        """The entries of a key that are still kept, the newest first.

        Args:
            key: Whose.
            before: Only those older than this revision; 0 for all.
            limit: How many at most, at least 1.

        Raises:
            Unavailable, DeadlineExceeded: the store cannot be read.
        """

    async def at(self, key: str, revision: int) -> Entry | None:
        """The entry that this revision made of this key; None where it made none, or is no longer kept.

        Raises as `history` does.
        """


class Ledger(Bucket, History, Protocol):
    """A bucket that keeps what its keys were, and takes many of them in one step."""

    async def commit(self, values: Mapping[str, bytes], *, expected: int) -> int:
        """Write all of `values` or none, and return the revision of the last; those before it have the ones before.

        Args:
            values: What to write, at least one key, in this order.
            expected: Write only if this is the newest revision in the whole bucket, of whatever key; 0 means that
                nothing was ever written to it.

        Raises:
            RevisionConflict: something else was written meanwhile.
            Unsupported: the store takes one key at a time only.
            Unavailable, DeadlineExceeded: as `put`.
        """


class Logged(NamedTuple):
    """An entry, and when it was logged: in nanoseconds since 1970, as JetStream says."""

    entry: Entry
    at: int


class Mark(NamedTuple):
    """How far an archive has come.

    Attributes:
        reached: All entries of the bucket up to this revision are in it, as far as they were there to be had.
        log: The log that they were read from: when it was made, as JetStream writes it; empty before the first.
        sequence: Up to which message of this log everything was read.
    """

    reached: int = 0
    log: str = ""
    sequence: int = 0


class Shelf(NamedTuple):
    """What an archive has of one key.

    Attributes:
        entries: The newest first.
        more: Whether there are older ones.
        mark: How far the archive has come.
    """

    entries: list[Entry]
    more: bool
    mark: Mark


class AuditMessage(NamedTuple):
    """One message of the stream of the audit: some entries of a chain, a line each.

    Attributes:
        sequence: Its sequence.
        stored: When NATS took it.
        chain: Under which chain.
        lines: The entries.
    """

    sequence: int
    stored: datetime
    chain: str
    lines: list[bytes]


class ArchivedEntry(NamedTuple):
    """An entry of the audit as PostgreSQL has it.

    Attributes:
        row: Its place there.
        sequence: That of the message that it was in.
        stored: When NATS took that.
        chain: Under which chain it was stored.
        line: The entry, byte for byte.
    """

    row: int
    sequence: int
    stored: datetime
    chain: str
    line: str


class Archive(Protocol):
    """Keeps every entry of a bucket for good. Each incarnation of the bucket is apart: its revisions begin again.

    Every call raises `Unavailable` or `DeadlineExceeded` while the archive is away, and `SchemaRefused` where it is one
    that this version does not know.
    """

    async def open(self) -> None:
        """Return when it can be used: reached, and with its tables as they should be. At once where it was before."""

    async def mark(self, incarnation: str) -> Mark:
        """How far it has come."""

    async def append(self, incarnation: str, entries: Sequence[Logged], mark: Mark) -> None:
        """Take entries, all or none, and that it has come so far now.

        What it has already stays as it is, and neither `reached` nor the `sequence` of the same log goes back.
        """

    async def history(self, incarnation: str, key: str, *, before: int = 0, limit: int = 64) -> Shelf:
        """The entries of a key, the newest first: at most `limit`, and fewer where they are large."""

    async def at(self, incarnation: str, key: str, revision: int) -> Entry | None:
        """The entry that this revision made of this key; None where there is none."""
