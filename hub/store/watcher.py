"""Following every key of a bucket so that nothing is lost and nothing stays stale, whatever the server does.

One mechanism: read everything through a fresh consumer, sweep away the keys that were not among it, then follow on the
same consumer. Any doubt leads to a new reading. What raises doubt: a gap in the consumer's numbering, quiet where a
heartbeat was due, a reconnect, a stream created anew, a sequence that went back, a stream that is ahead of what was
delivered, and, without any doubt, the passing of time: a key that expired unheard, its marker gone too, shows only in
a reading.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import nats.errors
from nats.aio.client import Client

from hub.errors import HubError, Unavailable
from hub.store.api import JetStreamApi, StreamInfo, StreamMissing
from hub.store.feed import LISTENER_FAILED, Feed
from hub.store.ports import Listener
from hub.store.streams import BucketSpec
from hub.transport.connection import describe
from hub.transport.loops import Beat, Keep, Kept, alone, unheard

SILENT: Final = "no heartbeat from the store"
DISCONNECTED: Final = "the connection was lost"
RECREATED: Final = "the bucket was created anew"
WENT_BACK: Final = "the store went back in time"
BEHIND: Final = "the store is ahead of what it delivered"
MISSING: Final = "the bucket is gone"
AWAY: Final = "the store does not answer"
RESTARTED: Final = "the watch had to be started again"
RESYNC: Final = "scheduled"

_MISSED_HEARTBEATS: Final = 2
_SLACK: Final = 0.1
_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 1.0
_YIELD_EVERY: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a watch keeps time, in seconds.

    Attributes:
        heartbeat: The server's sign of life when nothing happens; two missed ones are a doubt.
        check: Between two looks at the stream itself.
        resync: Between two readings without any doubt.
        patience: How long a reading may stay without what the stream's leader has; and, times ten, how long entering
            a watch may take in all.
    """

    heartbeat: float = 0.5
    check: float = 2.0
    resync: float = 300.0
    patience: float = 3.0


DEFAULT_PACE: Final = Pace()


class _Doubt(Exception):
    """What the listener was told may not be all there is."""


class KeyWatch:
    """A `Watch` of a JetStream bucket.

    Args:
        client: The connection.
        api: JetStream.
        spec: The bucket.
        listener: Told of everything, on the event loop.
        restore: Creates the bucket when it is found missing.
        pace: How it keeps time.
        keep: What runs it. When it must be started again, it reads everything again.

    Attributes:
        rereads: How often all was read again, by reason. The reasons are few and fixed.
    """

    def __init__(
        self,
        client: Client,
        api: JetStreamApi,
        spec: BucketSpec,
        listener: Listener,
        *,
        restore: Callable[[], Awaitable[None]],
        pace: Pace = DEFAULT_PACE,
        keep: Keep = alone,
    ) -> None:
        self._client = client
        self._api = api
        self._spec = spec
        self._listener = listener
        self._restore = restore
        self._pace = pace
        self._keep = keep
        self._beat: Beat = unheard
        self.rereads: Counter[str] = Counter()
        self._known: dict[str, int] = {}
        self._seen: set[str] | None = None
        self._revision = 0
        self._created: str | None = None
        self._older: set[str] = set()
        self._went_back = False
        self._synced = asyncio.Event()
        self._told_lost = False
        self._reconnects = 0
        self._ahead = 0
        self._cause = AWAY
        self._feed: Feed | None = None
        self._lag = 0
        self._heard = 0.0
        self._began = False
        self._running: Kept | None = None

    @property
    def revision(self) -> int:
        """See `Watch.revision`. Once synced it also covers revisions that are no longer stored."""
        return self._revision

    @property
    def synced(self) -> bool:
        """See `Watch.synced`."""
        return self._synced.is_set()

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self._spec.name

    @property
    def lag(self) -> int:
        """Revisions that the stream was ahead of what it had delivered here, when they were last compared."""
        return self._lag

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life of the store."""
        heard = self._heard if self._feed is None else max(self._heard, self._feed.heard)
        return max(0.0, asyncio.get_running_loop().time() - heard)

    async def __aenter__(self) -> Self:
        self._heard = asyncio.get_running_loop().time()
        self._running = self._keep(f"watch-{self._spec.name}", self._run)
        patience = self._pace.patience * 10
        try:
            async with asyncio.timeout(patience):
                await self._synced.wait()
        except TimeoutError:
            await self.aclose()
            raise Unavailable(f"bucket {self._spec.name}: not read within {patience:g} s ({self._cause})") from None
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop following. The listener is told nothing more."""
        if self._running is not None:
            await self._running.aclose()
            self._running = None
        await self._retire()
        self._synced.clear()

    async def _run(self, beat: Beat) -> None:
        self._beat = beat
        wait = _FIRST_WAIT
        reason = cause = RESTARTED if self._began else ""
        self._began = True
        while True:
            beat()
            read = False
            try:
                if reason:
                    self._note(reason, cause)
                feed = await self._read()
                read = True
                await self._follow(feed)
            except _Doubt as doubt:
                reason = cause = str(doubt)
            except (HubError, nats.errors.Error, OSError) as error:
                reason, cause = AWAY, describe(error)
            except Exception as error:  # noqa: BLE001  # the listener's: a watch that ends unheard would be a lie
                reason, cause = LISTENER_FAILED, f"{LISTENER_FAILED} ({describe(error)})"
            else:
                reason = cause = RESYNC
            if read:
                wait = _FIRST_WAIT
            else:
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)

    def _note(self, reason: str, cause: str) -> None:
        self._cause = cause
        self.rereads[reason] += 1
        if reason != RESYNC and not self._told_lost:
            self._told_lost = True
            self._synced.clear()
            self._listener.on_lost(cause)

    async def _read(self) -> Feed:
        """Tell the listener all there is, and return the feed that goes on from there."""
        await self._retire()
        if not self._client.is_connected:
            raise _Doubt(DISCONNECTED)
        self._reconnects = self._client.stats["reconnects"]
        stream = await self._find()
        self._compare(stream)
        newest = await self._api.newest(self._spec.stream, f"{self._spec.prefix}>")
        self._seen = set()
        self._older.clear()
        self._feed = feed = Feed(self._client, self._api, self._spec, self._pace.heartbeat, self._apply)
        await feed.open()
        await self._catch_up(feed, newest)
        await self._sweep(self._seen)
        self._seen = None
        self._revision = max(self._revision, stream.state.last_seq)
        self._ahead = self._lag = 0
        self._raise_doubt(feed)
        self._told_lost = False
        self._synced.set()
        self._listener.on_synced(self._revision)
        return feed

    async def _find(self) -> StreamInfo:
        try:
            return await self._api.stream(self._spec.stream)
        except StreamMissing:
            self._note(MISSING, MISSING)
            await self._restore()
            return await self._api.stream(self._spec.stream)

    def _compare(self, stream: StreamInfo) -> None:
        """Tell the listener when revisions start again: none known so far means anything any more."""
        recreated = self._created not in (None, stream.created)
        if recreated or self._went_back or stream.state.last_seq < self._revision:
            self._known = dict.fromkeys(self._known, 0)
            self._revision = 0
            self._went_back = False
            self._listener.on_reset()
        self._created = stream.created

    async def _catch_up(self, feed: Feed, newest: int) -> None:
        """Wait until the feed has told everything, `newest` included.

        A replica that is still catching up itself has less than the leader: sweeping by it would delete the living.
        """
        loop = asyncio.get_running_loop()
        while not feed.caught_up.is_set():
            await self._pause(feed.caught_up)
            self._raise_doubt(feed)
        deadline = loop.time() + self._pace.patience
        while feed.last < newest:
            await self._pause(feed.broke)
            self._raise_doubt(feed)
            if loop.time() > deadline:
                raise _Doubt(BEHIND)
        self._raise_if_older()

    def _raise_if_older(self) -> None:
        if self._older:
            self._went_back = True
            raise _Doubt(WENT_BACK)

    async def _sweep(self, seen: set[str]) -> None:
        """Delete what was known and is no longer stored. Writes may arrive meanwhile: they count as seen."""
        missing = [key for key in self._known if key not in seen]
        for number, key in enumerate(missing, start=1):
            if key not in seen and self._known.pop(key, None) is not None:
                self._listener.on_delete(key, self._revision)
            if not number % _YIELD_EVERY:
                await asyncio.sleep(0)

    def _apply(self, key: str, value: bytes | None, revision: int) -> None:
        if revision < self._known.get(key, 0):
            self._older.add(key)  # the store went back, or the replica that delivers is behind: the end tells
            return
        if self._older:
            self._older.discard(key)
        if self._seen is not None:
            self._seen.add(key)
        if revision > self._revision:
            self._revision = revision
        if value is None:
            self._known.pop(key, None)
            self._listener.on_delete(key, revision)
        else:
            self._known[key] = revision
            self._listener.on_put(key, value, revision)

    async def _follow(self, feed: Feed) -> None:
        """Return when it is time for a scheduled reading; raise `_Doubt` before that when there is any."""
        loop = asyncio.get_running_loop()
        resync = loop.time() + self._pace.resync
        check = loop.time() + self._pace.check
        while loop.time() < resync:
            await self._pause(feed.broke)
            self._raise_doubt(feed)
            if loop.time() >= check:
                await self._check()
                check = loop.time() + self._pace.check

    async def _check(self) -> None:
        """Compare the stream itself with what was delivered."""
        revision, ahead = self._revision, self._ahead
        try:
            async with asyncio.timeout(self._pace.heartbeat):  # silence must not go unnoticed meanwhile
                stream = await self._api.stream(self._spec.stream)
        except StreamMissing:
            raise _Doubt(MISSING) from None
        except (HubError, TimeoutError):
            return  # JetStream elects, perhaps; as long as heartbeats come, the feed is well
        if stream.created != self._created:
            raise _Doubt(RECREATED)
        if stream.state.last_seq < revision:
            self._went_back = True
            raise _Doubt(WENT_BACK)
        if self._revision < ahead:
            raise _Doubt(BEHIND)
        self._ahead = stream.state.last_seq
        self._lag = max(0, self._ahead - self._revision)

    def _raise_doubt(self, feed: Feed) -> None:
        if not self._client.is_connected or self._client.stats["reconnects"] != self._reconnects:
            raise _Doubt(DISCONNECTED)
        if feed.broken is not None:
            raise _Doubt(feed.broken)
        quiet = asyncio.get_running_loop().time() - feed.heard
        if quiet > (_MISSED_HEARTBEATS + _SLACK) * self._pace.heartbeat:
            raise _Doubt(SILENT)
        if self._seen is None:
            self._raise_if_older()

    async def _pause(self, event: asyncio.Event) -> None:
        """Wait for the event, a quarter of a heartbeat at most."""
        self._beat()
        try:
            async with asyncio.timeout(self._pace.heartbeat / 4):
                await event.wait()
        except TimeoutError:
            pass  # the caller looks around and waits again

    async def _retire(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            self._heard = max(self._heard, feed.heard)
            await feed.aclose()
