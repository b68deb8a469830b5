"""The few requests of JetStream's JSON API that the store needs, and what its refusals mean."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from hub.errors import DeadlineExceeded, HubError, NotFound, Unavailable
from hub.transport.requests import Requester

PREFIX: Final = "$JS.API."
WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})
"""A compare-and-set lost; the latter where writes that are under way decide."""
BATCH_DISABLED: Final = 10174
BATCH_INCOMPLETE: Final = 10176
BATCHES_TOO_MANY: Final = 10210
NO_MESSAGE: Final = 10037
STREAM_MISSING: Final = 10059
JETSTREAM_OFF: Final = frozenset({10039, 10076})
"""JetStream is not enabled: for the account, for the server."""
TOO_FEW_SERVERS: Final = frozenset({10005, 10023, 10074})
"""So many replicas cannot be placed: no suitable peers, insufficient resources, not a cluster."""

T = TypeVar("T")


class Refusal(Struct, frozen=True):
    """Why JetStream did not do it. `code` is HTTP-like, `err_code` names the cause."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class PubAck(Struct, frozen=True):
    """The answer to a publish into a stream."""

    seq: int = 0
    error: Refusal | None = None


class StreamState(Struct, frozen=True):
    """How far a stream has come. `last_seq` counts every message it ever took."""

    last_seq: int
    first_seq: int = 0
    messages: int = 0
    bytes: int = 0
    consumer_count: int = 0


class Replica(Struct, frozen=True):
    """One of the servers that hold a stream beside its leader, as the leader sees it."""

    current: bool = False
    offline: bool = False


class StreamCluster(Struct, frozen=True):
    """Who holds a stream. On a single server there is only that one, as leader."""

    leader: str = ""
    replicas: tuple[Replica, ...] | None = None


class StreamSource(Struct, frozen=True):
    """Another stream that a stream takes messages from. `active` is -1 while it does not."""

    active: int = -1


class StreamInfo(Struct, frozen=True):
    """A stream as its leader sees it. `created` tells a recreated stream from the one before."""

    created: str
    config: dict[str, Any]
    state: StreamState
    cluster: StreamCluster | None = None
    sources: tuple[StreamSource, ...] | None = None


class _SubjectsState(Struct, frozen=True):
    subjects: dict[str, int] | None = None


class _Subjects(Struct, frozen=True):
    state: _SubjectsState
    total: int = 0


class ConsumerInfo(Struct, frozen=True):
    """A consumer just made. `num_pending` is what it was going to deliver at that moment."""

    name: str
    num_pending: int


class _StreamNames(Struct, frozen=True):
    streams: tuple[str, ...] | None = None
    total: int = 0


class _Outcome(Struct, frozen=True):
    error: Refusal | None = None


class _Located(Struct, frozen=True):
    seq: int


class _Found(Struct, frozen=True):
    message: _Located


class StoredMessage(Struct, frozen=True):
    """A message as the leader of its stream has it. `time` is when it was stored, as JetStream writes it."""

    seq: int
    time: str
    data: bytes = b""


class _FoundWhole(Struct, frozen=True):
    message: StoredMessage


class StreamMissing(NotFound):
    """The stream does not exist."""


class ApiRefused(HubError):
    """JetStream refused a request for good; `err_code` is its own number for the cause."""

    code = "store_refused"
    status = 500

    def __init__(self, message: str, err_code: int) -> None:
        super().__init__(message)
        self.err_code = err_code


_encode = msgspec.json.encode
_outcome = msgspec.json.Decoder(_Outcome)
_stream_info = msgspec.json.Decoder(StreamInfo)
_subjects = msgspec.json.Decoder(_Subjects)
_consumer_info = msgspec.json.Decoder(ConsumerInfo)
_stream_names = msgspec.json.Decoder(_StreamNames)
_found = msgspec.json.Decoder(_Found)
_found_whole = msgspec.json.Decoder(_FoundWhole)
_anything = msgspec.json.Decoder(dict[str, Any])


class JetStreamApi:
    """Asks JetStream. Every call raises `Unavailable` or `DeadlineExceeded` when nobody answers.

    Args:
        requester: Carries the requests.
        timeout: Seconds that one request may take.
    """

    def __init__(self, requester: Requester, *, timeout: float = 2.0) -> None:
        self._requester = requester
        self._timeout = timeout

    async def stream(self, name: str) -> StreamInfo:
        """The stream of that name.

        Raises:
            StreamMissing: there is none.
        """
        return await self._call(f"STREAM.INFO.{name}", b"", _stream_info)

    async def account(self) -> None:
        """Return when JetStream has answered for the account.

        Raises:
            ApiRefused: JetStream is off for the account.
        """
        await self._call("INFO", b"", _anything)

    async def create_stream(self, name: str, config: dict[str, Any]) -> None:
        """Create it; the very same configuration again changes nothing.

        Raises:
            ApiRefused: the configuration is not possible, or the stream exists with another one.
        """
        await self._call(f"STREAM.CREATE.{name}", _encode({**config, "name": name}), _anything)

    async def update_stream(self, name: str, config: dict[str, Any]) -> None:
        """Give it another configuration.

        Raises:
            ApiRefused: NATS does not allow this change.
        """
        await self._call(f"STREAM.UPDATE.{name}", _encode({**config, "name": name}), _anything)

    async def stream_names(self) -> list[str]:
        """The names of all streams of the account."""
        names: list[str] = []
        while True:
            page = await self._call("STREAM.NAMES", _encode({"offset": len(names)}), _stream_names)
            names += page.streams or ()
            if not page.streams or len(names) >= page.total:
                return names

    async def delete_stream(self, name: str) -> None:
        """Delete it, with all that is in it. Raises `StreamMissing` where there is none."""
        await self._call(f"STREAM.DELETE.{name}", b"", _anything)

    async def purge(self, name: str, first: int) -> None:
        """Drop every message before the sequence `first`, which is the next one's where there is none after it."""
        await self._call(f"STREAM.PURGE.{name}", _encode({"seq": first}), _anything)

    async def purge_subject(self, name: str, subject: str, first: int | None = None) -> None:
        """Drop every message on a subject; given `first`, only those before that sequence."""
        body = {"filter": subject} if first is None else {"filter": subject, "seq": first}
        await self._call(f"STREAM.PURGE.{name}", _encode(body), _anything)

    async def subjects(self, name: str, pattern: str) -> dict[str, int]:
        """How many messages there are on each subject that matches.

        Raises:
            StreamMissing: there is no such stream.
        """
        found: dict[str, int] = {}
        while True:
            body = _encode({"subjects_filter": pattern, "offset": len(found)})
            page = await self._call(f"STREAM.INFO.{name}", body, _subjects)
            some = page.state.subjects or {}
            found.update(some)
            if not some or len(found) >= page.total:
                return found

    async def create_consumer(self, stream: str, name: str, config: dict[str, Any]) -> ConsumerInfo:
        """Create an ephemeral consumer.

        Raises:
            StreamMissing: there is no such stream.
            ApiRefused: the stream takes no more consumers, or not such ones.
        """
        body = {"stream_name": stream, "action": "create", "config": {**config, "name": name}}
        return await self._call(f"CONSUMER.CREATE.{stream}.{name}", _encode(body), _consumer_info)

    async def newest(self, stream: str, subjects: str) -> int:
        """The sequence of the newest message still stored on those subjects; 0 when none is. The leader answers."""
        body = _encode({"last_by_subj": subjects})
        try:
            found = await self._call(f"STREAM.MSG.GET.{stream}", body, _found)
        except ApiRefused as error:
            if error.err_code == NO_MESSAGE:
                return 0
            raise
        return found.message.seq

    async def last_message(self, stream: str, subject: str) -> StoredMessage | None:
        """The newest message on a subject; None where there is none. The leader answers, so that it is the newest."""
        try:
            body = _encode({"last_by_subj": subject})
            return (await self._call(f"STREAM.MSG.GET.{stream}", body, _found_whole)).message
        except ApiRefused as error:
            if error.err_code == NO_MESSAGE:
                return None
            raise

    async def _call(self, verb: str, body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
        try:
            reply = await self._requester.request(PREFIX + verb, body, timeout=self._timeout)
        except DeadlineExceeded:
            raise DeadlineExceeded(f"JetStream: {verb} was not answered within {self._timeout:g} s") from None
        try:
            refusal = _outcome.decode(reply.data).error
            if refusal is None:
                return decoder.decode(reply.data)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"JetStream: {verb} was answered with something unreadable ({error})") from None
        raise refused(verb, refusal)


def refused(what: str, refusal: Refusal) -> HubError:
    """The error class for a refusal: what is away, what is missing, what cannot be."""
    words = f"JetStream: {what} was refused: {refusal.description} ({refusal.err_code})"
    if refusal.err_code == STREAM_MISSING:
        return StreamMissing(words)
    if refusal.code == 503 and refusal.err_code not in JETSTREAM_OFF | TOO_FEW_SERVERS:
        return Unavailable(words)
    return ApiRefused(words, refusal.err_code)
