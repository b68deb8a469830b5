"""The log of a bucket: a stream beside it that keeps what the bucket itself lets go of, until it is archived.

It sources the bucket's stream, so that nothing that makes the bucket forget (its history, a purge, the time to live of
a marker) goes for it, and begins with what the bucket has when it is made. It has sequences of its own; the header
`Nats-Stream-Source` has those of the bucket. A mirror would have the same ones, and the server would let it answer
direct reads of the bucket with what the bucket no longer has.

A bucket that is deleted and made anew begins again at revision 1: each incarnation gets a log of its own, and that of
the one before takes up nothing more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
from nats.aio.client import Client

from hub.core.incarnations import began, incarnation, nanoseconds
from hub.errors import DeadlineExceeded, Unavailable
from hub.store.api import PREFIX, JetStreamApi, StreamMissing
from hub.store.ports import Entry, Logged, Mark, Past
from hub.store.reading import Page, read_entry, read_page
from hub.store.streams import BucketSpec, ensure
from hub.transport.requests import DEFAULT_TIMEOUT, Requester

PAGES: Final = 4
"""Pages that are read of the log to bridge what an archive is behind; more than that is told to be missing."""
_NEWEST: Final = msgspec.json.encode({"last_by_subj": ">"})
_AGAIN: Final = 0.02
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LogSpec:
    """The log of one incarnation of a bucket.

    Attributes:
        bucket: Of which bucket.
        incarnation: Of which incarnation.
        max_age: Seconds that an entry is kept, whether it is archived or not.
        max_bytes: Upper bound of the stored bytes; the oldest go first.
        replicas: Servers that hold it.
    """

    bucket: BucketSpec
    incarnation: str
    max_age: float
    max_bytes: int
    replicas: int = 1

    @property
    def stream(self) -> str:
        """The name of the stream."""
        return f"{prefix_of(self.bucket)}{self.incarnation}"

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return self.stream

    @property
    def prefix(self) -> str:
        """What precedes a key in the stream's subjects."""
        return self.bucket.prefix

    def config(self) -> dict[str, Any]:
        """The stream's configuration in the words of JetStream's API; durations in nanoseconds."""
        return {
            "sources": [{"name": self.bucket.stream}],
            "storage": "file",
            "discard": "old",
            "max_age": round(self.max_age * _NANOSECONDS),
            "max_bytes": self.max_bytes,
            "num_replicas": self.replicas,
            "allow_direct": True,
        }


def prefix_of(bucket: BucketSpec) -> str:
    """What the names of a bucket's logs begin with: `HUB_CONFIG_LOG_`."""
    return f"{bucket.name.replace('-', '_').upper()}_LOG_"


class Log(NamedTuple):
    """A log, and how far it has come.

    Attributes:
        spec: Which.
        created: When it was made, as JetStream writes it.
        first: Its oldest message; more than `last` where it is empty.
        last: The newest that it has taken.
        ends: When the incarnation ended, since the next one began then: nanoseconds since 1970, None for the present.
        is_active: Whether it takes up what is stored in the bucket.
    """

    spec: LogSpec
    created: str
    first: int
    last: int
    ends: int | None
    is_active: bool

    @property
    def incarnation(self) -> str:
        """Of which incarnation of the bucket it is."""
        return self.spec.incarnation

    @property
    def is_present(self) -> bool:
        """Whether its incarnation is the present one."""
        return self.ends is None

    def read_upto(self, mark: Mark) -> int:
        """Up to which of its messages an archive has read it, that has come to `mark`."""
        return mark.sequence if mark.log == self.created else 0


class LogPage(NamedTuple):
    """Some of a log, oldest first.

    Attributes:
        entries: What is of the log's incarnation, under the revisions of the bucket.
        sequence: The newest message that was read; 0 where there was none.
        more: Whether there is more to read.
    """

    entries: list[Logged]
    sequence: int
    more: bool


class BucketLog:
    """The logs of one bucket: that of its present incarnation, and those of earlier ones that are still there.

    Every call raises `Unavailable` or `DeadlineExceeded` where JetStream does not answer.

    Args:
        client: The connection.
        requester: An open requester on it.
        bucket: Of which bucket.
        max_age: Seconds that an entry is kept.
        max_bytes: Upper bound of the stored bytes of each log.
        timeout: Seconds that one request may take.
    """

    def __init__(
        self,
        client: Client,
        requester: Requester,
        bucket: BucketSpec,
        *,
        max_age: float,
        max_bytes: int,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._client = client
        self._requester = requester
        self._api = JetStreamApi(requester, timeout=timeout)
        self._bucket = bucket
        self._max_age = max_age
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def incarnation(self) -> str:
        """The name of the bucket's present incarnation. Raises `StreamMissing` where there is no bucket."""
        return incarnation((await self._api.stream(self._bucket.stream)).created)

    async def keep(self) -> list[Log]:
        """Make sure that the present incarnation has a log, and return all logs, the oldest first.

        It is held by as many servers as the bucket. Safe to call from many processes at once.

        Raises:
            StreamMissing: there is no bucket.
            StartupError, ApiRefused: JetStream does not take the log; says why.
        """
        info = await self._api.stream(self._bucket.stream)
        present = incarnation(info.created)
        await ensure(self._requester, self._spec(present, int(info.config.get("num_replicas", 1))), patience=0)
        prefix = prefix_of(self._bucket)
        named = [name.removeprefix(prefix) for name in await self._api.stream_names() if name.startswith(prefix)]
        found = sorted(name for name in named if _is_incarnation(name) and name <= present)
        logs = [await self._look(name, later) for name, later in zip(found, [*found[1:], ""], strict=True)]
        return [log for log in logs if log is not None]

    async def begin(self) -> None:
        """Make sure of the log as `keep` does, and return once it takes up what is stored.

        It begins a tenth of a second after it was made. What the bucket lets go of before then is in no log.
        """
        log = (await self.keep())[-1]
        while not log.is_active:
            await asyncio.sleep(_AGAIN)
            log = (await self.keep())[-1]

    async def read(self, log: Log, *, after: int) -> LogPage:
        """Read on behind the message `after`."""
        page = await self._page(log.spec, ">", after)
        sequence = page.entries[-1].revision if page.entries else 0
        return LogPage([one for one in _logged(page) if log.ends is None or one.at < log.ends], sequence, page.more > 0)

    async def reached(self) -> int | None:
        """The newest revision of the bucket that its log has taken up, by any of its replicas.

        None where that cannot be told: all that it ever had is too old to be kept.

        Raises:
            StreamMissing: there is no bucket.
        """
        spec = self._spec(await self.incarnation())
        try:
            reply = await self._requester.request(f"{PREFIX}DIRECT.GET.{spec.stream}", _NEWEST, timeout=self._timeout)
        except (Unavailable, DeadlineExceeded):
            raise Unavailable(f"{spec.stream}: cannot be read (it is missing, or JetStream is away)") from None
        entry = read_entry(spec, reply)
        if entry is None:
            state = (await self._api.stream(spec.stream)).state
            return 0 if state.last_seq == 0 else None
        return next((one.entry.revision for one in _logged(Page([entry], 0, [reply.headers or {}]))), 0)

    async def drop(self, log: Log) -> None:
        """Delete a log. One that is gone already is no error."""
        with suppress(StreamMissing):
            await self._api.delete_stream(log.spec.stream)

    async def history(self, incarnation: str, key: str, *, after: Mark, before: int, limit: int) -> Past:
        """What the log has of a key behind a mark, the newest first; not complete where that is very much.

        Args:
            incarnation: Of which incarnation of the bucket.
            key: Whose.
            after: How far the archive has come.
            before: Only what is older than this revision; 0 for all.
            limit: How many at most.
        """
        log = await self._look(incarnation, "")
        if log is None:
            raise Unavailable(f"{self._spec(incarnation).stream}: is not there yet")
        sequence, found, more = log.read_upto(after), deque[Entry](maxlen=limit + 1), True
        for _ in range(PAGES):
            page = await self._page(log.spec, key, sequence)
            entries = [one.entry for one in _logged(page) if one.entry.revision > after.reached]
            found.extend(entry for entry in entries if not before or entry.revision < before)
            more = page.more > 0 and not (before and entries and entries[-1].revision >= before)
            if not more:
                break
            sequence = page.entries[-1].revision
        newest = list(reversed(found))
        return Past(newest[:limit], len(newest) > limit, complete=not more)

    def _spec(self, name: str, replicas: int = 1) -> LogSpec:
        return LogSpec(self._bucket, name, self._max_age, self._max_bytes, replicas)

    async def _page(self, spec: LogSpec, keys: str, after: int) -> Page:
        return await read_page(self._client, spec, keys, after=after, timeout=self._timeout)

    async def _look(self, name: str, later: str) -> Log | None:
        """How far a log has come. That of an earlier incarnation takes up no more from now on."""
        spec = self._spec(name)
        try:
            info = await self._api.stream(spec.stream)
            if later and info.config.get("sources"):
                await self._api.update_stream(spec.stream, {**info.config, "sources": []})
        except StreamMissing:
            return None  # another hub is done with it
        ends = began(later) if later else None
        active = any(source.active >= 0 for source in info.sources or ())
        return Log(spec, info.created, info.state.first_seq, info.state.last_seq, ends, active)


def _logged(page: Page) -> Iterator[Logged]:
    """The entries of a page under the revisions of the bucket; without what did not come from there."""
    for entry, headers in zip(page.entries, page.headers, strict=True):
        _, _, rest = headers.get("Nats-Stream-Source", "").partition(" ")
        revision = rest.partition(" ")[0]
        if revision.isdigit():
            yield Logged(entry._replace(revision=int(revision)), nanoseconds(headers["Nats-Time-Stamp"]))


def _is_incarnation(name: str) -> bool:
    try:
        began(name)
    except ValueError:
        return False
    return True
