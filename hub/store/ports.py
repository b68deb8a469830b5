"""What the hub asks of a store: a few buckets of keys with revisions, and word of every change to them."""

from __future__ import annotations

from collections.abc import Mapping
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


class Ledger(Bucket, Protocol):
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

    async def history(self, key: str, *, before: int = 0, limit: int = 64) -> list[Entry]:
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
