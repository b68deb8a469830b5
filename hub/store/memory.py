"""Buckets in this process's memory: the twins of the real ones, for tests and for trying things out."""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from hub.errors import HubError
from hub.store.ports import Entry, Listener, Past, RevisionConflict

MARKER_TTL = 600.0


class _Expiry(NamedTuple):
    at: float
    revision: int
    key: str


class MemoryBucket:
    """Behaves as the real bucket does: revisions, markers, expiry, conflicts, and watches told after the writer.

    Args:
        name: Shown in errors.
        clock: Monotonic seconds. With one given, time passes only when `expire` is called after the clock moved;
            without, the event loop's own time is used and expiry happens by itself.
        marker_ttl: Seconds that the marker of a key that is gone stays.

    Attributes:
        outage: While set, every read and write raises it, as a store does that is away.
    """

    def __init__(
        self, name: str = "memory", *, clock: Callable[[], float] | None = None, marker_ttl: float = MARKER_TTL
    ) -> None:
        self._name = name
        self._clock = clock
        self._marker_ttl = marker_ttl
        self._entries: dict[str, Entry] = {}
        self._expiries: list[_Expiry] = []
        self._watches: list[MemoryWatch] = []
        self._revision = 0
        self.outage: HubError | None = None

    @property
    def revision(self) -> int:
        """The newest revision of the bucket."""
        return self._revision

    async def get(self, key: str) -> Entry | None:
        """See `Bucket.get`."""
        self._prepare()
        return self._entries.get(key)

    async def put(self, key: str, value: bytes, *, expected: int | None = None, ttl: int | None = None) -> int:
        """See `Bucket.put`."""
        if ttl is not None and ttl < 1:
            raise ValueError(f"ttl: expected whole seconds of at least 1, got {ttl}")
        self._prepare()
        self._check(key, expected)
        return self._store(key, value, ttl)

    async def delete(self, key: str, *, expected: int | None = None) -> int:
        """See `Bucket.delete`."""
        self._prepare()
        self._check(key, expected)
        return self._store(key, None, self._marker_ttl)

    def watch(self, listener: Listener) -> MemoryWatch:
        """See `Bucket.watch`."""
        return MemoryWatch(self, listener)

    def expire(self) -> None:
        """Let go of everything whose time has come."""
        now = self._now()
        while self._expiries and self._expiries[0].at <= now:
            _, revision, key = heapq.heappop(self._expiries)
            entry = self._entries.get(key)
            if entry is None or entry.revision != revision:
                continue
            if entry.value is None:
                del self._entries[key]
            else:
                self._store(key, None, self._marker_ttl)

    def recreate(self) -> None:
        """Lose everything and begin again at revision 0, as a bucket does that was removed and created anew."""
        gone = [key for key, entry in self._entries.items() if entry.value is not None]
        self._entries.clear()
        self._expiries.clear()
        self._revision = 0
        for watch in self._watches:
            watch.lose("the bucket was created anew", gone)

    def entries(self) -> list[Entry]:
        """Everything stored, oldest write first."""
        return sorted(self._entries.values(), key=lambda entry: entry.revision)

    def join(self, watch: MemoryWatch) -> None:
        """Tell a watch of every change from now on."""
        self._watches.append(watch)

    def leave(self, watch: MemoryWatch) -> None:
        """Tell a watch nothing more."""
        if watch in self._watches:
            self._watches.remove(watch)

    def _now(self) -> float:
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()

    def _prepare(self) -> None:
        if self.outage is not None:
            raise self.outage
        self.expire()

    def _check(self, key: str, expected: int | None) -> None:
        entry = self._entries.get(key)
        found = entry.revision if entry else 0
        if expected is not None and expected != found:
            raise RevisionConflict(f"{key}: expected revision {expected} in the bucket {self._name}, found {found}")

    def _store(self, key: str, value: bytes | None, ttl: float | None) -> int:
        self._revision += 1
        entry = self._entries[key] = Entry(key, value, self._revision)
        if ttl is not None:
            heapq.heappush(self._expiries, _Expiry(self._now() + ttl, entry.revision, key))
            if self._clock is None:
                asyncio.get_running_loop().call_later(ttl, self.expire)
        for watch in self._watches:
            watch.tell(entry)
        return entry.revision


class MemoryLedger(MemoryBucket):
    """A `MemoryBucket` that keeps what its keys were, and takes many of them in one step.

    Args:
        name: Shown in errors.
        history: How many entries of a key are kept.
    """

    def __init__(self, name: str = "memory", *, history: int = 64) -> None:
        super().__init__(name)
        self._kept: defaultdict[str, deque[Entry]] = defaultdict(lambda: deque(maxlen=history))

    async def commit(self, values: Mapping[str, bytes], *, expected: int) -> int:
        """See `Ledger.commit`."""
        if not values:
            raise ValueError("values: expected at least one key")
        self._prepare()
        if expected != self._revision:
            raise RevisionConflict(
                f"{', '.join(values)}: expected {expected} to be the newest revision in the bucket {self._name}, "
                f"found {self._revision}"
            )
        return [self._store(key, value, None) for key, value in values.items()][-1]

    async def history(self, key: str, *, before: int = 0, limit: int = 64) -> Past:
        """See `History.history`."""
        self._prepare()
        kept = [entry for entry in self._kept.get(key, ()) if not before or entry.revision < before]
        return Past(kept[::-1][:limit], len(kept) > limit)

    async def at(self, key: str, revision: int) -> Entry | None:
        """See `History.at`."""
        self._prepare()
        return next((entry for entry in self._kept.get(key, ()) if entry.revision == revision), None)

    def recreate(self) -> None:
        """See `MemoryBucket.recreate`."""
        self._kept.clear()
        super().recreate()

    def _store(self, key: str, value: bytes | None, ttl: float | None) -> int:
        revision = super()._store(key, value, ttl)
        if value is None:
            self._kept[key].clear()
        self._kept[key].append(Entry(key, value, revision))
        return revision


class MemoryWatch:
    """A `Watch` of a `MemoryBucket`. The listener is told on the loop's next turn, never inside the write."""

    def __init__(self, bucket: MemoryBucket, listener: Listener) -> None:
        self._bucket = bucket
        self._listener = listener
        self._revision = 0
        self._synced = False
        self._open = False

    @property
    def revision(self) -> int:
        """See `Watch.revision`."""
        return self._revision

    @property
    def synced(self) -> bool:
        """See `Watch.synced`."""
        return self._synced

    async def __aenter__(self) -> Self:
        self._open = True
        self._bucket.expire()
        for entry in self._bucket.entries():
            self._apply(entry)
        self._bucket.join(self)
        self._become_synced(self._bucket.revision)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = self._synced = False
        self._bucket.leave(self)

    def tell(self, entry: Entry) -> None:
        """Tell the listener of a write soon."""
        asyncio.get_running_loop().call_soon(self._apply, entry)

    def lose(self, reason: str, gone: list[str]) -> None:
        """Tell the listener soon that the bucket began again, and that these keys are gone."""
        asyncio.get_running_loop().call_soon(self._begin_again, reason, gone)

    def _apply(self, entry: Entry) -> None:
        if not self._open:
            return
        self._revision = entry.revision
        if entry.value is None:
            self._listener.on_delete(entry.key, entry.revision)
        else:
            self._listener.on_put(entry.key, entry.value, entry.revision)

    def _begin_again(self, reason: str, gone: list[str]) -> None:
        if not self._open:
            return
        self._synced = False
        self._revision = 0
        self._listener.on_lost(reason)
        self._listener.on_reset()
        for key in gone:
            self._listener.on_delete(key, 0)
        self._become_synced(0)

    def _become_synced(self, revision: int) -> None:
        self._revision = revision
        self._synced = True
        self._listener.on_synced(revision)
