"""Taking in services that speak only the micro protocol of NATS: as whom, as what, and whom to ask about themselves.

A service is found by its answer to `$SRV.PING`. That it gave one is a sign of life, heard by every replica. What it
does it is asked by `$SRV.INFO`, alone, and only when there is something to learn: it is not known yet, its version or
its metadata are other than before, or it has not been asked for a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, TypeVar
from zlib import crc32

from hub.wire.codec import encode
from hub.wire.micro import EndpointAnswer, InfoAnswer, PingAnswer
from hub.wire.names import is_instance_id, is_service_name
from hub.wire.registration import Register
from hub.wire.subjects import instance_key, is_reserved

Skip = Literal["malformed", "too_large", "name", "id", "declined", "registered", "conflict", "unanswered", "overflow"]
"""Why somebody who answered is not taken in."""

TAG: Final = "micro"
DECLINE: Final = "hub.adopt"
"""A micro service whose metadata says `false` here is left alone: it registers itself, under another name."""
TTL_ROUNDS: Final = 3
DEREGISTER_ROUNDS: Final = 10
REFRESH_ROUNDS: Final = 12
"""Rounds after which one that says nothing new is asked about itself again; endpoints may have come."""
MISSED: Final = 1.5
"""Intervals without a round after which a replica that does not lead asks in the leader's place."""

MAX_DESCRIPTION: Final = 1024
MAX_ENDPOINTS: Final = 64
MAX_ENDPOINTS_BYTES: Final = 12 * 1024
MAX_METADATA_BYTES: Final = 4 * 1024
MAX_WAITING: Final = 4096
"""Services that wait to be asked; further ones wait for a round in which there is room."""
MAX_SEEN: Final = 50_000
_MAX_CAPABILITY: Final = 64
_SOON: Final = 0.2

T = TypeVar("T")


class Unfit(Exception):
    """An answer is not taken in; `reason` is for counting, the text for operators."""

    def __init__(self, reason: Skip, words: str) -> None:
        super().__init__(words)
        self.reason: Skip = reason


def registered_name(name: str) -> str | None:
    """What a micro service is called in the registry; None where its name cannot be made one."""
    made = name.lower().replace("_", "-")
    return made if is_service_name(made) and not is_reserved(made) else None


def key_of(answer: PingAnswer) -> str:
    """Under which key an answering service belongs into the registry.

    Raises:
        Unfit: under none.
    """
    name = registered_name(answer.name)
    if name is None:
        raise Unfit("name", "its name is reserved, or no DNS label even in lower case and with '-' for '_'")
    if not is_instance_id(answer.id):
        raise Unfit("id", "its id is not 1..64 of A-Z, a-z, 0-9, '_' and '-'")
    if answer.metadata and answer.metadata.get(DECLINE) == "false":
        raise Unfit("declined", f"its metadata says {DECLINE}=false")
    return instance_key(name, answer.id)


def registration(asked: PingAnswer, info: InfoAnswer, *, host: str, port: int, interval: float) -> Register:
    """What a micro service would register, if it did so itself.

    Args:
        asked: Whom the information was asked of.
        info: What was answered.
        host: Where the NATS server is through which it is reached.
        port: Likewise.
        interval: Seconds between two rounds.

    Raises:
        Unfit: the information is somebody else's.
    """
    if (info.name, info.id) != (asked.name, asked.id):
        raise Unfit("malformed", "it answered under another name or id")
    name, _, instance_id = key_of(asked).partition(".")
    return Register(
        name=name,
        instance_id=instance_id,
        host=host,
        port=port,
        protocol="nats",
        version=info.version,
        metadata=_described(info),
        tags=(TAG,),
        liveness="heartbeat",
        ttl=TTL_ROUNDS * interval,
        deregister_after=max(1.0, DEREGISTER_ROUNDS * interval),
    )


def _described(info: InfoAnswer) -> dict[str, Any]:
    """What discovery shows of a micro service, within bounds; `truncated` says that something did not fit."""
    listed = [_endpoint(each) for each in info.endpoints or ()]
    endpoints = _fitting(listed[:MAX_ENDPOINTS], MAX_ENDPOINTS_BYTES)
    metadata = dict(_fitting((info.metadata or {}).items(), MAX_METADATA_BYTES))
    description = (info.description or "")[:MAX_DESCRIPTION]
    names = dict.fromkeys(endpoint["name"] for endpoint in endpoints if len(endpoint["name"]) <= _MAX_CAPABILITY)
    shown: dict[str, Any] = {
        "description": description,
        "micro_name": info.name,
        "endpoints": endpoints,
        "capabilities": list(names),
        "micro": metadata,
    }
    whole = (len(info.description or ""), len(listed), len(info.metadata or {}))
    if whole != (len(description), len(endpoints), len(metadata)):
        shown["truncated"] = True
    return shown


def _endpoint(endpoint: EndpointAnswer) -> dict[str, str]:
    return {"name": endpoint.name, "subject": endpoint.subject, "queue_group": endpoint.queue_group}


def _fitting(items: Iterable[T], room: int) -> list[T]:
    """The items, from the first on, as many as fit into `room` bytes of JSON together."""
    found: list[T] = []
    for item in items:
        room -= len(encode(item))
        if room < 0:
            break
        found.append(item)
    return found


class Pace:
    """When to ask who is alive. The leader does; when a round of it is missed, every other replica does.

    So nobody is thought silent who was not asked: not while there is no leader, whatever the reason.

    Args:
        interval: Seconds between two rounds.
        now: The time: monotonic seconds, as below.
    """

    def __init__(self, interval: float, now: float) -> None:
        self._interval = interval
        self._begun = float("-inf")
        self._heard = now

    def begin(self, now: float) -> None:
        """This replica begins a round."""
        self._begun = now

    def heard(self, now: float) -> None:
        """A round seems to be under way, whoever began it. The leader does not rely on that: anybody may say so."""
        self._heard = now

    def is_due(self, now: float, *, leading: bool) -> bool:
        """Whether to begin a round."""
        if leading:
            return now >= self._begun + self._interval
        return now >= max(self._begun, self._heard) + self._interval * MISSED


class _Seen(NamedTuple):
    """One that has been asked about itself: what it said of itself before, and when to ask it again."""

    said: int
    due: float
    adopted: bool


class Intake:
    """Whom to ask about themselves. Bounded, and spread over time, however many answer at once.

    Args:
        refresh: Seconds after which one that says nothing new is asked again, give or take a quarter.
    """

    def __init__(self, refresh: float) -> None:
        self._refresh = refresh
        self._waiting: dict[str, PingAnswer] = {}
        self._seen: dict[str, _Seen] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, key: str, answer: PingAnswer, now: float, *, known: bool) -> bool:
        """Somebody has answered. Returns whether there is anything to ask it.

        Args:
            key: Under which key it belongs into the registry.
            answer: What it answered.
            now: The time: monotonic seconds, as below.
            known: Whether it is there and may stay.

        Raises:
            Unfit: there is, and too many wait already.
        """
        seen = self._seen.get(key)
        if seen is not None and seen.said == _said(answer) and now < seen.due and (known or not seen.adopted):
            return False
        if key not in self._waiting and len(self._waiting) >= MAX_WAITING:
            raise Unfit("overflow", f"{MAX_WAITING} others wait to be asked already")
        self._waiting[key] = answer
        return True

    def take(self, limit: int) -> list[tuple[str, PingAnswer]]:
        """Up to `limit` of those to ask, who have waited longest."""
        return [(key, self._waiting.pop(key)) for key in list(islice(self._waiting, limit))]

    def settle(self, key: str, answer: PingAnswer, now: float, *, adopted: bool) -> None:
        """It has been asked, and taken in or not.

        One that has just been taken in is asked again soon: it may still be adding endpoints.
        """
        before = self._seen.pop(key, None)
        after = self._refresh * (0.75 + 0.5 * crc32(key.encode()) / 2**32)
        if adopted and (before is None or not before.adopted):
            after *= _SOON
        self._seen[key] = _Seen(_said(answer), now + after, adopted)
        while self._seen and (len(self._seen) > MAX_SEEN or self._is_stale(next(iter(self._seen)), now)):
            del self._seen[next(iter(self._seen))]

    def clear(self) -> None:
        """Asking is another replica's task now."""
        self._waiting.clear()
        self._seen.clear()

    def _is_stale(self, key: str, now: float) -> bool:
        """Whether one has not been heard for long: else it would have been asked again by now."""
        return now > self._seen[key].due + self._refresh


def _said(answer: PingAnswer) -> int:
    """A number for what an answer says, the same for the same."""
    return hash((answer.name, answer.version, frozenset((answer.metadata or {}).items())))
