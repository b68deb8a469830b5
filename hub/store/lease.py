"""The leader's lease: one key with a time to live, taken and renewed by compare-and-set."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import msgspec
from msgspec import Struct

from hub.core.lease import Tenure
from hub.errors import HubError
from hub.store.ports import Bucket, Entry, RevisionConflict
from hub.transport.loops import Beat, Keep, Kept, alone

KEY: Final = "leader"
_RELEASE_TIMEOUT: Final = 1.0
_OPENS_WITHIN: Final = 45.0
"""Seconds, and some more, that the watch over the bucket may take to open."""
_RETRIES_PER_TTL: Final = 20
"""A renewal that failed is tried again this often within a ttl."""

Notice = Callable[[], None]


class _Claim(Struct, frozen=True):
    """The stored value: who holds it, and which run of it (names come back after a restart, sessions do not)."""

    holder: str
    session: str


_decoder = msgspec.json.Decoder(_Claim)


def elapsed() -> float:
    """Seconds of a clock that is never set back and, where the system has one, runs on while the machine sleeps."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def _ignore() -> None:
    return None


class LeaderLease:
    """Holds the lease whenever nobody else does, from entering its context until leaving it.

    Args:
        bucket: Where the key lives.
        holder: Who asks, for operators.
        ttl: Whole seconds, at least 1, that the lease outlives its holder's last renewal. In a cluster, take more than
            the election of a stream leader lasts (10 s).
        clock: Monotonic seconds.
        on_gained: Called on the event loop when a term begins.
        on_lost: Called on the event loop when it has ended. After a stop of the whole process it comes late: what must
            not be done by two asks `held` just before, and carries `revision`.
        keep: What runs it. When it must be started again, a term that is not over yet goes on.
    """

    def __init__(
        self,
        bucket: Bucket,
        holder: str,
        ttl: float,
        *,
        clock: Callable[[], float] = elapsed,
        on_gained: Notice = _ignore,
        on_lost: Notice = _ignore,
        keep: Keep = alone,
    ) -> None:
        if ttl < 1 or ttl != int(ttl):
            raise ValueError(f"ttl: expected whole seconds of at least 1, got {ttl}")
        self._bucket = bucket
        self._claim = _Claim(holder, uuid.uuid4().hex)
        self._value = msgspec.json.encode(self._claim)
        self._ttl = int(ttl)
        self._clock = clock
        self._on_gained = on_gained
        self._on_lost = on_lost
        self._tenure = Tenure(float(ttl))
        self._leader: str | None = None
        self._vacant = asyncio.Event()
        self._keep = keep
        self._running: Kept | None = None

    @property
    def held(self) -> bool:
        """Whether this process is the leader at this very moment, by its own clock."""
        return self._tenure.held(self._clock())

    @property
    def revision(self) -> int:
        """The fencing token of the current term: greater than that of every term before; 0 when not leader."""
        return self._tenure.term if self.held else 0

    @property
    def leader(self) -> str | None:
        """Who held the lease when last looked at; None when nobody did or it was never seen."""
        return self._claim.holder if self.held else self._leader

    async def __aenter__(self) -> Self:
        self._running = self._keep("leader-lease", self._run, bound=_OPENS_WITHIN + self._ttl)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop asking for it, and give it back if it is held, so that another takes over at once."""
        if self._running is None:
            return
        await self._running.aclose()
        self._running = None
        term, revision = self._tenure.term, self._tenure.revision
        self._tenure.end()
        if not term:
            return
        self._on_lost()
        try:
            async with asyncio.timeout(_RELEASE_TIMEOUT):
                await self._bucket.delete(KEY, expected=revision)
        except (HubError, TimeoutError):
            pass  # it ends by itself, or another's already

    async def _run(self, beat: Beat) -> None:
        while True:
            beat()
            try:
                async with self._bucket.watch(_Vacancy(self._vacant)):
                    while True:
                        if not self._tenure.term:  # else this run begins in a term of the run before
                            await self._acquire(beat)
                        await self._hold(beat)
            except HubError:
                await asyncio.sleep(self._ttl / 3)

    async def _acquire(self, beat: Beat) -> None:
        """Return once the lease is held: tried when it falls vacant, and every third of a ttl in any case."""
        while not await self._try_to_acquire():
            beat()
            try:
                async with asyncio.timeout(self._ttl / 3):
                    await self._vacant.wait()
            except TimeoutError:
                pass  # looking now and then finds what the watch missed

    async def _try_to_acquire(self) -> bool:
        self._vacant.clear()
        try:
            entry = await self._bucket.get(KEY)
            holder = self._holder(entry)
            self._leader = holder.holder if holder else None
            if holder and holder.session != self._claim.session:
                return False
            sent = self._clock()
            revision = await self._bucket.put(KEY, self._value, expected=entry.revision if entry else 0, ttl=self._ttl)
        except HubError:
            return False  # another was faster, or the store is away: the next try tells
        self._tenure.begin(sent, revision)
        if not self.held:
            return False
        self._on_gained()
        return True

    def _holder(self, entry: Entry | None) -> _Claim | None:
        if entry is None or entry.value is None:
            return None
        try:
            return _decoder.decode(entry.value)
        except msgspec.MsgspecError:
            return _Claim("unknown", "")  # somebody's, in words of another version: it ends with its ttl

    async def _hold(self, beat: Beat) -> None:
        """Renew every third of the ttl; return, the term being over, when that did not succeed in time."""
        wait = self._ttl / 3
        while True:
            beat()
            now = self._clock()
            await asyncio.sleep(min(wait, self._tenure.remaining(now)))
            try:
                wait = self._ttl / 3 if await self._renew() else self._ttl / _RETRIES_PER_TTL
            except RevisionConflict:
                break
            if not self.held:
                break
        self._tenure.end()
        self._on_lost()

    async def _renew(self) -> bool:
        """Whether a renewal was written before the deadline.

        Raises:
            RevisionConflict: another holds the lease.
        """
        sent = self._clock()
        remaining = self._tenure.remaining(sent)
        if not remaining:
            return False
        try:
            async with asyncio.timeout(remaining):
                revision = await self._write_again()
        except RevisionConflict:
            raise
        except (HubError, TimeoutError):
            return False
        self._tenure.renew(sent, revision)
        return True

    async def _write_again(self) -> int:
        try:
            return await self._bucket.put(KEY, self._value, expected=self._tenure.revision, ttl=self._ttl)
        except RevisionConflict:
            entry = await self._bucket.get(KEY)
            holder = self._holder(entry)
            if entry is None or holder is None or holder.session != self._claim.session:
                raise
        # an earlier renewal was written although its answer never came
        return await self._bucket.put(KEY, self._value, expected=entry.revision, ttl=self._ttl)


class _Vacancy:
    """Wakes the one who waits for the lease when its key goes, however it goes."""

    def __init__(self, vacant: asyncio.Event) -> None:
        self._vacant = vacant

    def on_put(self, key: str, value: bytes, revision: int) -> None:
        """Somebody holds it; nothing to wake for."""

    def on_delete(self, key: str, revision: int) -> None:
        """The lease was given back or ran out."""
        if key == KEY:
            self._vacant.set()

    def on_reset(self) -> None:
        """The store lost what it knew: the lease may be free."""
        self._vacant.set()

    def on_synced(self, revision: int) -> None:
        """The bucket can be read again."""
        self._vacant.set()

    def on_lost(self, reason: str) -> None:
        """Looking now and then goes on meanwhile."""
