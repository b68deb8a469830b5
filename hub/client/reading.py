"""Reading all instances of a service: straight from the registry's stream, else from the hub.

A direct read is answered by NATS alone, with the hub down too. It walks the stream's messages of one subject pattern
in order of their sequence (`next_by_subj` with `batch`, ADR-31), as many at a time as the server likes, and has no
upper bound; `multi_last` refuses more than 1024 keys. The registry keeps one message per key, so each is the newest;
a key written again during the walk moves to its end and is met there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import msgspec
from nats.aio.msg import Msg

from hub.client.link import Link
from hub.client.replica import Delta, Reading
from hub.core.entry import present
from hub.errors import DeadlineExceeded, Forbidden, HubError, Unavailable
from hub.transport.requests import not_permitted
from hub.wire import subjects
from hub.wire.discovery import Discover, Discovered, Instance
from hub.wire.record import Record

log = logging.getLogger("hub.client")

BATCH = 1000
TIMEOUT = 2.0
"""Seconds that one step may take: the next message of a walk, the next page from the hub."""

_DIRECT_GET = f"$JS.API.DIRECT.GET.KV_{subjects.REGISTRY_BUCKET}"
_KEYS = f"$KV.{subjects.REGISTRY_BUCKET}."
_MAX_PAGES = 10_000

_decode_record = msgspec.json.Decoder(Record).decode


async def read(link: Link, service: str) -> Reading:
    """All instances of a service.

    Raises:
        HubError: neither the registry nor a hub could be read.
    """
    try:
        return await _walk(link, service)
    except (Unavailable, DeadlineExceeded, Forbidden) as error:
        log.debug("%s: registry not read (%s); asking the hub", service, error.message)
        return await _ask(link, service)


def delta(message: Msg) -> Delta:
    """The change that a republished message carries.

    Raises:
        ValueError: it is not understood.
    """
    headers = message.headers or {}
    try:
        return Delta(
            instance_id=message.subject.rpartition(".")[2],
            revision=int(headers["Nats-Sequence"]),
            previous=int(headers["Nats-Last-Sequence"]),
            instance=_instance(message.data, headers),
        )
    except (KeyError, msgspec.MsgspecError) as error:
        raise ValueError(f"{message.subject}: not a change of the registry ({error!r})") from None


def _instance(payload: bytes, headers: Mapping[str, str]) -> Instance | None:
    """The instance in a stored message; None for a deletion or the marker of an expiry."""
    if not payload or "KV-Operation" in headers or "Nats-Marker-Reason" in headers:
        return None
    record = _decode_record(payload)
    return present(record, record.status, record.desired, record.since)


async def _walk(link: Link, service: str) -> Reading:
    received: asyncio.Queue[Msg] = asyncio.Queue()  # holds at most one batch: the next is asked for when it is used up

    async def on_message(message: Msg) -> None:
        received.put_nowait(message)

    if link.forbids(_DIRECT_GET):
        raise not_permitted(_DIRECT_GET)
    inbox = link.inbox()
    replies = await link.subscribe(inbox, on_message)
    found: dict[str, tuple[int, Instance]] = {}
    revision = 0
    try:
        for _ in range(_MAX_PAGES):
            await link.publish(_DIRECT_GET, _batch(service, revision + 1), reply=inbox)
            while "Status" not in ((message := await _next(received)).headers or {}):
                revision = _collect(message, found)
            if not _more(message):
                return Reading(revision, found)
    except (KeyError, ValueError) as error:
        raise Unavailable(f"registry: answer not understood ({error!r})") from None
    finally:
        await link.unsubscribe(replies)
    raise Unavailable(f"{service}: the registry has no end")


def _batch(service: str, first: int) -> bytes:
    return msgspec.json.encode({"next_by_subj": f"{_KEYS}{service}.*", "seq": first, "batch": BATCH})


async def _next(received: asyncio.Queue[Msg]) -> Msg:
    try:
        async with asyncio.timeout(TIMEOUT):
            return await received.get()
    except TimeoutError:
        raise DeadlineExceeded(f"registry: no answer within {TIMEOUT:g} s") from None


def _collect(message: Msg, found: dict[str, tuple[int, Instance]]) -> int:
    """Put a stored message to what was found, and return its revision."""
    headers = message.headers or {}
    instance_id = headers["Nats-Subject"].rpartition(".")[2]
    revision = int(headers["Nats-Sequence"])
    try:
        instance = _instance(message.data, headers)
    except msgspec.MsgspecError as error:
        log.warning("%s: stored record not understood, left out (%s)", headers["Nats-Subject"], error)
        instance = None
    if instance is None:
        found.pop(instance_id, None)
    else:
        found[instance_id] = (revision, instance)
    return revision


def _more(end: Msg) -> bool:
    """Whether there is more behind the end of a batch.

    Raises:
        Unavailable: it was no end but a refusal.
    """
    headers = end.headers or {}
    status = headers["Status"]
    if status == "204":
        return int(headers.get("Nats-Num-Pending", 0)) > 0
    if status == "404":  # nothing (more) on these subjects
        return False
    raise Unavailable(f"registry: not readable ({status} {headers.get('Description', '')})".rstrip())


async def _ask(link: Link, service: str) -> Reading:
    """All pages of the hub's answer. The reading is as old as the oldest of them."""
    found: dict[str, tuple[int, Instance]] = {}
    after = ""
    revision: int | None = None
    for _ in range(_MAX_PAGES):
        query = Discover(name=service, status="any", after=after)
        page = await link.ask_once(subjects.DISCOVER, query, Discovered, timeout=TIMEOUT)
        revision = page.revision if revision is None else min(revision, page.revision)
        found.update((instance.instance_id, (page.revision, instance)) for instance in page.instances)
        if page.next is None:
            return Reading(revision, found)
        after = page.next
    raise HubError(f"{service}: the hub's list of instances has no end")
