"""What a bucket's stream still keeps, in the order it was stored: many messages to a request (ADR-31)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.errors import DeadlineExceeded, Unavailable
from hub.store.api import PREFIX
from hub.store.feed import is_marker
from hub.store.ports import Entry
from hub.transport.connection import describe
from hub.transport.direct import subscribe_direct

PAGE: Final = 256
"""Entries asked for at a time."""
PAGE_BYTES: Final = 4 * 1024 * 1024
"""Bytes after which the server ends a page: what one request may make the server send without being asked."""


class Readable(Protocol):
    """A stream with the entries of a bucket: the bucket's own, or a copy of it."""

    @property
    def name(self) -> str:
        """What it is called in errors."""

    @property
    def stream(self) -> str:
        """The name of the stream."""

    @property
    def prefix(self) -> str:
        """What precedes a key in the stream's subjects."""


class Page(NamedTuple):
    """Some entries, oldest first, how many were still to come, and the headers that each came with."""

    entries: list[Entry]
    more: int
    headers: list[Mapping[str, str]]


def read_entry(spec: Readable, reply: Msg) -> Entry | None:
    """The entry in the answer to a direct get; None where it says that there is none.

    Raises:
        Unavailable: it is no such answer.
    """
    headers = reply.headers or {}
    status = headers.get("Status")
    if status == "404":
        return None
    if status is not None or "Nats-Sequence" not in headers:
        words = headers.get("Description", "an answer that is none")
        raise Unavailable(f"bucket {spec.name}: cannot be read ({status}: {words})")
    return Entry(
        headers["Nats-Subject"].removeprefix(spec.prefix),
        None if is_marker(headers) else reply.data,
        int(headers["Nats-Sequence"]),
    )


async def read_page(
    client: Client, spec: Readable, keys: str, *, after: int, timeout: float, most: int = PAGE, size: int = PAGE_BYTES
) -> Page:
    """Read entries of a bucket that are newer than the revision `after`. In a cluster any replica answers.

    Args:
        client: The connection.
        spec: Which bucket, or which object store: of that, what it tells of its objects.
        keys: A key, or a pattern of keys (`>` for all).
        after: The revision to begin after.
        timeout: Seconds until the whole page must be there.
        most: How many entries at most.
        size: After how many bytes the server ends the page.

    Raises:
        Unavailable, DeadlineExceeded: it cannot be read.
    """
    reading = _Reading(spec)
    request = {"next_by_subj": spec.prefix + keys, "seq": after + 1, "batch": most, "max_bytes": size}
    inbox = client.new_inbox()
    try:
        subscription = await subscribe_direct(client, inbox, reading.on_message)
        try:
            await client.publish(f"{PREFIX}DIRECT.GET.{spec.stream}", msgspec.json.encode(request), reply=inbox)
            async with asyncio.timeout(timeout):
                return await reading.page
        finally:
            if not client.is_closed:
                await subscription.unsubscribe()
    except TimeoutError:
        raise DeadlineExceeded(f"bucket {spec.name}: could not be read within {timeout:g} s") from None
    except (nats.errors.Error, OSError) as error:
        raise Unavailable(f"bucket {spec.name}: cannot be read ({describe(error)})") from None


class _Reading:
    """Gathers the messages of one page; each says which was sent before it, so that none is missed."""

    def __init__(self, spec: Readable) -> None:
        self._spec = spec
        self._entries: list[Entry] = []
        self._headers: list[Mapping[str, str]] = []
        self.page: asyncio.Future[Page] = asyncio.get_running_loop().create_future()

    async def on_message(self, message: Msg) -> None:
        if self.page.done():
            return
        headers = message.headers or {}
        status = headers.get("Status")
        try:
            if status == "204":
                self._check(headers)
                self.page.set_result(Page(self._entries, int(headers.get("Nats-Num-Pending", "0")), self._headers))
                return
            if status == "503":
                raise Unavailable(f"bucket {self._spec.name}: cannot be read (it is missing, or JetStream is off)")
            entry = read_entry(self._spec, message)
            if entry is None:
                self.page.set_result(Page([], 0, []))
                return
            self._check(headers)
            self._entries.append(entry)
            self._headers.append(headers)
        except Unavailable as error:
            self.page.set_exception(error)

    def _check(self, headers: Mapping[str, str]) -> None:
        before = self._entries[-1].revision if self._entries else 0
        if int(headers.get("Nats-Last-Sequence", "-1")) != before:
            raise Unavailable(f"bucket {self._spec.name}: messages were lost while it was read")
