"""What changes in the catalog, told to many: found once, encoded once, and held for each only as far as is bounded.

The hub says of which service something changed; what it is, is found by comparing what is shown now with what was told
last. A snapshot is of what was told last, too, so that all watchers are at the same place. Who reads too slowly gets
only the latest state of each instance, and who falls behind even so starts again with a snapshot, and is told: nothing
is lost without a word.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

from msgspec import Struct

from hub.core.catalog import Catalog
from hub.errors import Overloaded
from hub.wire.codec import encode
from hub.wire.discovery import Instance
from hub.wire.subjects import instance_key

HEARTBEAT: Final = 10.0
"""Seconds after which something is said in any case, so that both ends know of each other."""
MAX_PENDING: Final = 256 * 1024
"""Bytes that one watcher may be behind before it starts again."""

_GATHER: Final = 0.05
"""Seconds that changes are gathered for: of an instance that changes ten times in them, one change is told."""
_AT_ONCE: Final = 1
"""Watchers that are woken in a row before others on the event loop get their turn: two hundred of them take longer to
write to than any request on NATS should wait."""
_CHUNK: Final = 64
"""Services that are compared, or changes that are gathered, before others on the event loop get their turn."""
_PIECE: Final = 32 * 1024
"""Bytes of a snapshot that are sent at once, or one instance more."""

_COMMENT: Final = b": still here\n\n"
_RETRY: Final = b"retry: 1000\n\n"


class Began(Struct, frozen=True, kw_only=True):
    """What was told before is void: a snapshot of what is there follows."""

    reason: str
    """`snapshot` at the beginning, `behind` where too much changed for what the watcher has read."""


class Synced(Struct, frozen=True, kw_only=True):
    """The snapshot is complete; what follows are changes."""

    revision: int
    """The registry's."""


class Gone(Struct, frozen=True, kw_only=True):
    """An instance is not there any more."""

    name: str
    instance_id: str


EVENTS: Final[dict[str, type[Struct]]] = {"reset": Began, "put": Instance, "synced": Synced, "delete": Gone}
"""The events by name, with what their `data` is."""


class Watcher:
    """One who watches. Made by `Feed.open`.

    Args:
        feed: What it watches.
        names: The services whose instances it is told of; empty for all.
    """

    def __init__(self, feed: Feed, names: frozenset[str]) -> None:
        self._names = names
        self._feed = feed
        self._pending: dict[str, bytes] = {}
        self._size = 0
        self._start_again = "snapshot"
        self._wake = asyncio.Event()
        self._greeted = True
        self._closed = False

    def wants(self, service: str) -> bool:
        """Whether it is told of this service's instances."""
        return not self._names or service in self._names

    def offer(self, changes: dict[str, bytes]) -> None:
        """Changes by the instances' keys; a later one takes the place of an earlier one that was not read yet."""
        if self._start_again == "behind" or self._closed:
            return
        for key, frame in changes.items():
            if not self.wants(key.partition(".")[0]):
                continue
            self._size += len(frame) - len(self._pending.get(key, b""))
            self._pending[key] = frame
        if self._size > MAX_PENDING:
            self._forget()
            self._start_again = "behind"
        if self._pending or self._start_again:
            self._wake.set()

    def greet(self) -> None:
        """Let something be said, though there may be no news."""
        self._greeted = False
        self._wake.set()

    def close(self) -> None:
        """Let it end."""
        self._closed = True
        self._wake.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """What to send, piece by piece, until it is closed; the next piece is made when it is asked for."""
        yield _RETRY
        while not self._closed:
            if self._start_again:
                async for piece in self._snapshot():
                    yield piece
            elif self._pending:
                changes = b"".join(self._pending.values())
                self._forget()
                yield changes
            elif not self._greeted:
                self._greeted = True
                yield _COMMENT
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _snapshot(self) -> AsyncIterator[bytes]:
        """All that is there. What changes meanwhile waits its turn, so that in the end the latest was told last."""
        self._forget()
        reason, self._start_again = self._start_again, ""
        yield self._frame("reset", encode(Began(reason=reason)))
        piece = bytearray()
        for name in sorted(self._names) or list(self._feed.catalog.names):
            for instance in list(self._feed.told(name).values()):
                piece += self._frame("put", instance)
                if len(piece) < _PIECE:
                    continue
                await self._feed.turn()
                yield bytes(piece)
                if self._start_again or self._closed:
                    return
                piece.clear()
        await self._feed.turn()
        if not self._start_again and not self._closed:
            yield bytes(piece + self._frame("synced", encode(Synced(revision=self._feed.catalog.revision))))

    def _frame(self, event: str, data: bytes) -> bytes:
        return frame(event, self._feed.catalog.revision, data)

    def _forget(self) -> None:
        self._pending.clear()
        self._size = 0


class Feed:
    """Tells watchers of changes.

    Args:
        catalog: What is watched.
        limit: How many may watch at once.
    """

    def __init__(self, catalog: Catalog, *, limit: int) -> None:
        self.catalog = catalog
        self._limit = limit
        self._watchers: dict[Watcher, None] = {}
        self._told: dict[str, dict[str, bytes]] = {}
        self._changed: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._watchers)

    def notice(self, service: str) -> None:
        """Something that is shown of a service has changed."""
        if self._watchers:
            self._changed[service] = None
            self._wake.set()

    def open(self, names: Iterable[str]) -> Watcher:
        """Another watcher, to be given back by `close`.

        Raises:
            Overloaded: as many watch as may.
        """
        if len(self._watchers) >= self._limit:
            raise Overloaded(f"watchers: {self._limit} watch already; try again later, or another hub")
        watcher = Watcher(self, frozenset(names))
        self._watchers[watcher] = None
        return watcher

    def close(self, watcher: Watcher) -> None:
        """It watches no more."""
        watcher.close()
        self._watchers.pop(watcher, None)
        if not self._watchers:
            self._told.clear()

    def told(self, service: str) -> dict[str, bytes]:
        """The encoded instances of a service, by id, as they were told last; as they are, where none were told yet."""
        known = self._told.get(service)
        if known is None:
            known = self._shown(service)
            if known:
                self._told[service] = known
        return known

    async def turn(self) -> None:
        """Return when a watcher may send the next piece of its snapshot: one does, and then everything else is served.

        All of them come at once when a hub has been restarted.
        """
        async with self._turn:
            await asyncio.sleep(0)

    def close_all(self) -> None:
        """Nobody watches any more."""
        for watcher in list(self._watchers):
            self.close(watcher)

    async def greet(self) -> None:
        """Let every watcher hear something once in a while, for ever."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            async for watcher in self._in_turn():
                watcher.greet()

    async def tell(self) -> None:
        """Find what changes, and tell of it, for ever."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER)
            self._wake.clear()
            changed, self._changed = self._changed, {}
            changes: dict[str, bytes] = {}
            for number, name in enumerate(changed, start=1):
                changes.update(self._compare(name))
                if len(changes) >= _CHUNK or not number % _CHUNK:
                    await self._offer(changes)
                    await asyncio.sleep(0)
                    changes = {}
            await self._offer(changes)

    def _compare(self, name: str) -> dict[str, bytes]:
        """What is to be told of a service now, by the instances' keys."""
        before = self._told.pop(name, {})
        if not any(watcher.wants(name) for watcher in self._watchers):
            return {}
        now, revision = self._shown(name), self.catalog.revision
        changes: dict[str, bytes] = {}
        for instance_id in before.keys() - now.keys():
            gone = encode(Gone(name=name, instance_id=instance_id))
            changes[instance_key(name, instance_id)] = frame("delete", revision, gone)
        for instance_id, instance in now.items():
            if before.get(instance_id) != instance:
                changes[instance_key(name, instance_id)] = frame("put", revision, instance)
        if now:
            self._told[name] = now
        return changes

    def _shown(self, name: str) -> dict[str, bytes]:
        service = self.catalog.services.get(name)
        return {instance_id: entry.encoded() for instance_id, entry in service.entries.items()} if service else {}

    async def _offer(self, changes: dict[str, bytes]) -> None:
        if changes:
            async for watcher in self._in_turn():
                watcher.offer(changes)

    async def _in_turn(self) -> AsyncIterator[Watcher]:
        """Every watcher, a few at a time."""
        for number, watcher in enumerate(list(self._watchers), start=1):
            yield watcher
            if not number % _AT_ONCE:
                await asyncio.sleep(0)


def frame(event: str, revision: int, data: bytes) -> bytes:
    """One server-sent event; `data` has no line breaks."""
    return b"event: %b\nid: %d\ndata: %b\n\n" % (event.encode(), revision, data)
