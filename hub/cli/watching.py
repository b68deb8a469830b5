"""The news that `hub watch` listens to: deltas, health reports and events in, changes out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

import msgspec
from nats.aio.msg import Msg
from nats.errors import SlowConsumerError

from hub.cli.changes import Change, Picture
from hub.cli.discover import every_page
from hub.cli.services import all_services
from hub.cli.session import Session
from hub.errors import HubError
from hub.wire import subjects
from hub.wire.discovery import Discover, Discovered, ServiceSummary
from hub.wire.event import CloudEvent
from hub.wire.health import HealthReport
from hub.wire.record import Record

_MOST_WAITING: Final = 65_536
_MOST_REASONS: Final = 1024
_AT_ONCE: Final = 64
_REASON_PATIENCE: Final = 0.3
"""Seconds that the news of a removal is held back for the event that tells its reason."""
_RETRY_WAIT: Final = 0.5

_decode_record = msgspec.json.Decoder(Record).decode
_decode_report = msgspec.json.Decoder(HealthReport).decode
_decode_event = msgspec.json.Decoder(CloudEvent).decode


class Signal(Enum):
    """What the connection itself has to say."""

    LOST = "lost"
    BACK = "back"
    BEHIND = "behind"
    """News came faster than it was taken, and some was dropped."""


@dataclass(frozen=True, slots=True)
class _Departure:
    """A removal whose reason is waited for until `deadline` (loop time)."""

    service: str
    instance_id: str
    revision: int
    deadline: float


class Inbox:
    """Where the connection puts what comes in; at most so much, beyond which the connection is made to wait."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Msg | Signal] = asyncio.Queue(_MOST_WAITING)

    async def take(self, message: Msg) -> None:
        """A message came in."""
        await self._queue.put(message)

    async def lost(self) -> None:
        """The connection is lost."""
        await self._queue.put(Signal.LOST)

    async def back(self) -> None:
        """The connection is back."""
        await self._queue.put(Signal.BACK)

    async def trouble(self, error: Exception) -> None:
        """The connection reports an error."""
        if isinstance(error, SlowConsumerError) and not self._queue.full():
            self._queue.put_nowait(Signal.BEHIND)

    async def next(self, until: float | None) -> Msg | Signal | None:
        """The next piece of news; None when loop time reaches `until` first."""
        try:
            async with asyncio.timeout_at(until):
                return await self._queue.get()
        except TimeoutError:
            return None


class Watching:
    """Follows the registry, or one service of it.

    Args:
        session: The connection; its notices go to `inbox`.
        inbox: Where news comes in.
        service: Which service; None for all.
        say: Told, in words, what happens to the watch itself.
    """

    def __init__(self, session: Session, inbox: Inbox, service: str | None, say: Callable[[str], None]) -> None:
        self.picture = Picture()
        self._session = session
        self._inbox = inbox
        self._service = service
        self._say = say
        self._reasons: OrderedDict[int, str] = OrderedDict()
        self._departures: dict[str, _Departure] = {}

    async def begin(self) -> tuple[ServiceSummary, ...]:
        """Subscribe, and read what is there. Returns the services as listed (none when only one is followed).

        Raises:
            HubError: no hub answers.
        """
        scope = self._service or "*"
        for subject in (
            subjects.registry_delta(scope),
            subjects.health(scope),
            subjects.event("service.deregistered"),
            subjects.event("service.expired"),
        ):
            await self._session.client.subscribe(subject, cb=self._inbox.take)
        _, listed = await self._read()
        return listed

    async def changes(self) -> AsyncGenerator[Change, None]:
        """Every change from now on, for ever; after a loss of the connection, also what it has missed."""
        while True:
            news = await self._inbox.next(min((d.deadline for d in self._departures.values()), default=None))
            if isinstance(news, Msg):
                found = self._understand(news)
            elif isinstance(news, Signal):
                found = await self._heed(news)
            else:
                found = self._overdue()
            for change in found:
                yield change

    async def _heed(self, signal: Signal) -> list[Change]:
        if signal is Signal.LOST:
            self._say(f"lost NATS at {self._session.where}; reconnecting")
            return []
        if signal is Signal.BEHIND:
            self._say("changes came too fast and some were missed; reading everything again")
        else:
            self._say("reconnected; reading what changed meanwhile")
        waiting = False
        while True:
            try:
                return (await self._read())[0]
            except HubError as error:
                if not waiting:
                    self._say(f"{error.message}; trying again")
                waiting = True
            await asyncio.sleep(_RETRY_WAIT)

    async def _read(self) -> tuple[list[Change], tuple[ServiceSummary, ...]]:
        """Read all that is followed: what is different from what was known, and the services as listed."""
        if self._service is not None:
            return self._compare(self._service, await self._instances(self._service)), ()
        listed = (await all_services(self._session)).services
        names = sorted({summary.name for summary in listed} | self.picture.services)
        changes: list[Change] = []
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            for name, found in zip(some, await asyncio.gather(*map(self._instances, some)), strict=True):
                changes += self._compare(name, found)
        return changes, listed

    async def _instances(self, service: str) -> Discovered:
        return await every_page(self._session, Discover(name=service, status="any"))

    def _compare(self, service: str, found: Discovered) -> list[Change]:
        return self.picture.read(service, found, _now())

    def _understand(self, message: Msg) -> list[Change]:
        """The changes that a message amounts to. One that cannot be read is another version's, and is passed over."""
        subject = message.subject
        try:
            if subject.startswith(subjects.REGISTRY_DELTA_PREFIX):
                return self._delta(subject.removeprefix(subjects.REGISTRY_DELTA_PREFIX), message)
            if subject.startswith(subjects.EVENTS_PREFIX):
                return self._event(message.data)
            if subjects.is_reserved(subject.removeprefix(subjects.HEALTH_PREFIX)):
                return self.picture.reported(_decode_report(message.data), _now())
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            self._say(f"a message on {subject} cannot be read: {error}")
        return []

    def _delta(self, key: str, message: Msg) -> list[Change]:
        headers = message.headers or {}
        revision = int(headers["Nats-Sequence"])
        found = self._depart(key) if key in self._departures else []
        if "KV-Operation" in headers or "Nats-Marker-Reason" in headers:
            service, _, instance_id = key.partition(".")
            deadline = asyncio.get_running_loop().time() + _REASON_PATIENCE
            self._departures[key] = _Departure(service, instance_id, revision, deadline)
            return found + (self._depart(key) if revision in self._reasons else [])
        change = self.picture.stored(_decode_record(message.data), revision, _now())
        return [*found, change] if change else found

    def _event(self, payload: bytes) -> list[Change]:
        """Learn the reason of a removal, and let the removal out if it waited for that."""
        event = _decode_event(payload)
        revision = int(event.data["revision"])
        self._reasons[revision] = str(event.data["reason"])
        if len(self._reasons) > _MOST_REASONS:
            self._reasons.popitem(last=False)
        waiting = self._departures.get(event.subject)
        return self._depart(event.subject) if waiting and waiting.revision == revision else []

    def _depart(self, key: str) -> list[Change]:
        gone = self._departures.pop(key)
        reason = self._reasons.pop(gone.revision, "")
        change = self.picture.deleted(gone.service, gone.instance_id, gone.revision, reason, _now())
        return [change] if change else []

    def _overdue(self) -> list[Change]:
        now = asyncio.get_running_loop().time()
        due = [key for key, departure in self._departures.items() if departure.deadline <= now]
        return [change for key in due for change in self._depart(key)]


def _now() -> datetime:
    return datetime.now(UTC)
