"""Events into the stream `HUB_EVENTS`: taken at once, written in the background, in order, each once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Final, Self

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.errors import DeadlineExceeded, HubError, Unavailable
from hub.store.api import PREFIX, PubAck, refused
from hub.store.streams import EVENTS, StreamSpec, ensure
from hub.transport.loops import Beat, Keep, Kept, alone, woken
from hub.transport.requests import Requester
from hub.wire import subjects
from hub.wire.codec import encode
from hub.wire.event import CloudEvent

Stamp = Callable[[CloudEvent], CloudEvent]
"""Adds to an event what is known only at the moment when it is told."""

DEFAULT_CAPACITY: Final = 50_000
AT_ONCE: Final = 256
"""Events under way to the stream at a time."""
_LINGER: Final = 0.02
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 2.0
_MOST_READ: Final = 1_000
_decode_event = msgspec.json.Decoder(CloudEvent).decode
_ack = msgspec.json.Decoder(PubAck)


class EventLog:
    """Writes events into a stream without ever making their author wait.

    Many are under way at a time, each with an acknowledgement of its own: an atomic batch, which needs only one, costs
    the server three to four times as much an event. One whose fate is unknown is written again: the stream takes an id
    only once within its window, so a retry makes no duplicate. An event that the stream refuses for good is dropped and
    counted. A stream that is gone is created again.

    Args:
        client: The connection.
        requester: An open requester on it.
        spec: The stream; it must exist (see `streams.ensure`).
        capacity: Events that may wait; when that many do, the newest is refused and counted.
        timeout: Seconds that one write may take.
        stamp: What every event gets as it is taken; None leaves it as it is.
        keep: What runs it. Events that wait are not lost when it must be started again.

    Attributes:
        dropped: Events that were not and will not be written.
        written: Events that the stream acknowledged.
    """

    def __init__(
        self,
        client: Client,
        requester: Requester,
        spec: StreamSpec = EVENTS,
        *,
        capacity: int = DEFAULT_CAPACITY,
        timeout: float = 2.0,
        stamp: Stamp | None = None,
        keep: Keep = alone,
    ) -> None:
        self._client = client
        self._requester = requester
        self._spec = spec
        self._capacity = capacity
        self._timeout = timeout
        self._stamp = stamp
        self._keep = keep
        self._waiting: deque[CloudEvent] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._writing: Kept | None = None
        self.dropped = 0
        self.written = 0

    @property
    def waiting(self) -> int:
        """Events that are not acknowledged yet."""
        return len(self._waiting)

    async def __aenter__(self) -> Self:
        self._writing = self._keep("event-log", self._write)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def append(self, event: CloudEvent) -> None:
        """Take an event to be written. Never blocks; refuses (and counts) it when too many wait already."""
        if len(self._waiting) >= self._capacity:
            self.dropped += 1
            return
        self._waiting.append(event if self._stamp is None else self._stamp(event))
        self._wake.set()
        self._idle.clear()

    async def told_since(self, event_type: str, since: datetime) -> set[str]:
        """The ids of the events of a type that the stream has taken since a time; of more than 1,000, the first.

        Raises:
            Unavailable, DeadlineExceeded: it cannot be read.
        """
        found: set[str] = set()
        following: dict[str, object] = {"start_time": since}
        while len(found) < _MOST_READ:
            request = {"next_by_subj": subjects.event(event_type), **following}
            reply = await self._requester.request(
                f"{PREFIX}DIRECT.GET.{self._spec.stream}", msgspec.json.encode(request), timeout=self._timeout
            )
            headers = reply.headers or {}
            if headers.get("Status") == "404":
                break
            try:
                found.add(_decode_event(reply.data).id)
                following = {"seq": int(headers["Nats-Sequence"]) + 1}
            except (KeyError, ValueError, msgspec.MsgspecError) as error:
                raise Unavailable(f"events: the stream's answer was not understood ({error!r})") from None
        return found

    async def aclose(self, deadline: float = 2.0) -> None:
        """Write what waits, for at most `deadline` seconds, and stop. What remains counts as dropped."""
        if self._writing is None:
            return
        try:
            async with asyncio.timeout(deadline):
                await self._idle.wait()
        except TimeoutError:
            pass  # the rest is counted below
        await self._writing.aclose()
        self._writing = None
        self.dropped += len(self._waiting)
        self._waiting.clear()

    async def _write(self, beat: Beat) -> None:
        wait = _FIRST_WAIT
        while True:
            beat()
            if not self._waiting:
                self._idle.set()
                self._wake.clear()
                await woken(self._wake, beat)
                await asyncio.sleep(_LINGER)  # what happens together is written together
            try:
                await self._write_some()
                wait = _FIRST_WAIT
            except (HubError, nats.errors.Error, OSError):
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
                await self._restore()

    async def _restore(self) -> None:
        with suppress(HubError):  # still away: the next attempt to write comes after a longer wait
            await ensure(self._requester, self._spec, patience=0)

    async def _write_some(self) -> None:
        """Write the oldest events; those that are acknowledged or refused for good no longer wait afterwards.

        Raises:
            Unavailable, DeadlineExceeded: whether the stream has those that still wait is not known.
        """
        if not self._client.is_connected:
            raise Unavailable("events: NATS is away")  # else the connection would keep a second queue of them
        events = list(islice(self._waiting, AT_ONCE))
        sent = [await self._send(event) for event in events]
        for acknowledgement in sent:  # they come in order, so that to wait for one is to wait for many
            if not acknowledgement.done():
                await asyncio.wait([acknowledgement])
        errors = [_failure(event, acknowledgement) for event, acknowledgement in zip(events, sent, strict=True)]
        again: list[CloudEvent] = []
        failure: HubError | None = None
        for event, error in zip(events, errors, strict=True):
            self._waiting.popleft()
            if error is None:
                self.written += 1
            elif error.retryable:
                again.append(event)
                failure = error
            else:
                self.dropped += 1
        self._waiting.extendleft(reversed(again))
        if failure is not None:
            raise failure

    async def _send(self, event: CloudEvent) -> asyncio.Future[Msg]:
        """The future of the event's acknowledgement."""
        try:
            return await self._requester.begin(
                subjects.event(event.type), encode(event), headers={"Nats-Msg-Id": event.id}, timeout=self._timeout
            )
        except HubError as error:
            failed: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed


def _failure(event: CloudEvent, acknowledgement: asyncio.Future[Msg]) -> HubError | None:
    """Why the stream does not have the event, or may not have it; None where it does."""
    error = acknowledgement.exception()
    if isinstance(error, HubError):
        return error
    try:
        refusal = _ack.decode(acknowledgement.result().data).error
    except msgspec.MsgspecError as unreadable:
        return DeadlineExceeded(f"events: unreadable acknowledgement ({unreadable})")
    return None if refusal is None else refused(f"writing the event {event.id}", refusal)
