"""Events into the stream `HUB_EVENTS`: taken at once, written in the background, in order, each once."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import Final, Self

import msgspec
import nats.errors
from nats.aio.client import Client

from hub.errors import DeadlineExceeded, HubError, Unavailable
from hub.store.api import PubAck, refused
from hub.store.streams import EVENTS, StreamSpec, ensure
from hub.transport.requests import Requester
from hub.wire import subjects
from hub.wire.codec import encode
from hub.wire.event import CloudEvent

DEFAULT_CAPACITY: Final = 50_000
BATCH: Final = 256
"""JetStream takes at most 1000 messages in one atomic batch."""
_LINGER: Final = 0.02
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 2.0
_ack = msgspec.json.Decoder(PubAck)


class EventLog:
    """Writes events into a stream without ever making their author wait.

    A batch is one atomic write with one acknowledgement. When its fate is unknown or it was refused, its events are
    written one by one: the stream takes an id only once within its window, so a retry makes no duplicate. An event
    that the stream refuses for good is dropped and counted. A stream that is gone is created again.

    Args:
        client: The connection.
        requester: An open requester on it.
        spec: The stream; it must exist (see `streams.ensure`).
        capacity: Events that may wait; when that many do, the newest is refused and counted.
        timeout: Seconds that one write may take.

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
    ) -> None:
        self._client = client
        self._requester = requester
        self._spec = spec
        self._capacity = capacity
        self._timeout = timeout
        self._waiting: deque[CloudEvent] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._batches = 0
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0
        self.written = 0

    @property
    def waiting(self) -> int:
        """Events that are not acknowledged yet."""
        return len(self._waiting)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="event log")
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
        self._waiting.append(event)
        self._wake.set()
        self._idle.clear()

    async def aclose(self, deadline: float = 2.0) -> None:
        """Write what waits, for at most `deadline` seconds, and stop. What remains counts as dropped."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(deadline):
                await self._idle.wait()
        except TimeoutError:
            pass  # the rest is counted below
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        self.dropped += len(self._waiting)
        self._waiting.clear()

    async def _run(self) -> None:
        wait = _FIRST_WAIT
        while True:
            if not self._waiting:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
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
        """Write the oldest events; those that are acknowledged or refused for good no longer wait afterwards."""
        if not self._client.is_connected:
            raise Unavailable("events: NATS is away")  # else the connection would keep a second queue of them
        count = min(len(self._waiting), BATCH)
        if count > 1 and await self._write_together(list(islice(self._waiting, count))):
            for _ in range(count):
                self._waiting.popleft()
            self.written += count
            return
        for _ in range(count):
            taken = await self._write(self._waiting[0])
            self._waiting.popleft()
            if taken:
                self.written += 1
            else:
                self.dropped += 1

    async def _write_together(self, events: list[CloudEvent]) -> bool:
        """Whether all of them are known to be stored."""
        try:
            return (await self._write_batch(events)).error is None
        except (HubError, nats.errors.Error):
            return False  # one of them may be at fault: alone, each tells its own cause

    async def _write_batch(self, events: list[CloudEvent]) -> PubAck:
        self._batches += 1
        batch = f"{id(self):x}-{self._batches}-{events[0].id}"[:64]
        for number, event in enumerate(events[:-1], start=1):
            headers = {
                "Nats-Batch-Id": batch,
                "Nats-Batch-Sequence": str(number),
                "Nats-Msg-Id": event.id,
            }
            await self._client.publish(subjects.event(event.type), encode(event), headers=headers)
        headers = {
            "Nats-Batch-Id": batch,
            "Nats-Batch-Sequence": str(len(events)),
            "Nats-Batch-Commit": "1",
            "Nats-Msg-Id": events[-1].id,
        }
        return await self._publish(events[-1], headers)

    async def _write(self, event: CloudEvent) -> bool:
        """Whether the stream has it; False when it never will.

        Raises:
            Unavailable, DeadlineExceeded: whether the stream has it is not known.
        """
        try:
            refusal = (await self._publish(event, {"Nats-Msg-Id": event.id})).error
            if refusal is not None:
                raise refused(f"writing the event {event.id}", refusal)
        except HubError as error:
            if error.retryable:
                raise
            return False
        return True

    async def _publish(self, event: CloudEvent, headers: dict[str, str]) -> PubAck:
        reply = await self._requester.request(
            subjects.event(event.type), encode(event), headers=headers, timeout=self._timeout
        )
        try:
            return _ack.decode(reply.data)
        except msgspec.MsgspecError as error:
            raise DeadlineExceeded(f"events: unreadable acknowledgement ({error})") from None
