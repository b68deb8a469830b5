"""Messages handed to their callback in the reader's own turn, without the queue and the task between.

The library gives every subscription a queue and a task that empties it. For a callback that never waits for another
message that is nothing but cost, about a third of what a message costs in all. Nothing piles up here either: what the
callback has not taken stays in the socket. What is published as usual goes a shorter way, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hub.transport.parsing import LeanParser
from hub.transport.sturdy import SturdyClient

BREATHE_EVERY = 64
"""Messages in a row after which everything else on the event loop gets its turn. Reading what has arrived already never
waits, so that a flood would stop timers, other tasks and even the answers to the server's pings."""

_VERSION = b"NATS/1.0"
_BLANK = " \t\r\n\v\f"

Deliver = Callable[[Msg], Awaitable[None]]


class DirectMessage(Msg):
    """A message whose headers are read when they are asked for, if they are.

    Attributes:
        raw_headers: The headers as they came; empty where there are none.
    """

    def __init__(self, client: Client, sid: int, subject: str, reply: str, data: bytes, raw_headers: bytes) -> None:
        self._client = client
        self._sid = sid
        self.subject = subject
        self.reply = reply
        self.data = data
        self.raw_headers = raw_headers or b""

    @property
    def headers(self) -> dict[str, str] | None:  # type: ignore[override]
        """The headers by name; None where there are none, or they are broken."""
        return read_headers(self.raw_headers) if self.raw_headers else None


class DirectClient(SturdyClient):
    """A client with some subscriptions delivered directly, and a short way out for what is published as usual.

    It steps in where the library hands a parsed message to its subscription. Should the library change that place, the
    messages take their usual way through the queue, which is slower and nothing else; a test would tell.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ps = LeanParser(self)
        self._direct: dict[int, Deliver] = {}
        self._in_a_row = 0

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """See `Client.publish`, which takes all that is not as usual, and knows what is wrong with it."""
        line = _line(subject, reply)
        block = _block(headers) if headers else b""
        if not line or block is None or self._status != Client.CONNECTED or len(payload) > self._max_payload:
            await super().publish(subject, payload, reply, headers)
            return
        if block:
            command = b"HPUB %b%d %d\r\n%b%b\r\n" % (line, len(block), len(block) + len(payload), block, payload)
        else:
            command = b"PUB %b%d\r\n%b\r\n" % (line, len(payload), payload)
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += len(payload)
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._pending_data_size > self._max_pending_size > 0:
            await self._flush_pending(force_flush=True)
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        deliver = self._direct.get(sid)
        if deliver is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        try:
            message = DirectMessage(self, sid, subject.decode(), reply.decode(), data, headers)
        except UnicodeDecodeError:
            self.unreadable += 1
            return
        try:
            await deliver(message)
        except Exception as error:  # noqa: BLE001  # as the library does: the next message is delivered
            await self._error_cb(error)
        self._in_a_row += 1
        if self._in_a_row >= BREATHE_EVERY:
            self._in_a_row = 0
            await asyncio.sleep(0)

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        self._direct.pop(sid, None)
        super()._remove_sub(sid, max_msgs)


async def subscribe_direct(client: Client, subject: str, deliver: Deliver, *, queue: str = "") -> Subscription:
    """Subscribe with a callback that is awaited before the next message is read; it must not wait for one.

    On a client that is no `DirectClient` this is an ordinary subscription.
    """
    subscription = await client.subscribe(subject, queue=queue, cb=deliver)
    if isinstance(client, DirectClient):
        client._direct[subscription._id] = deliver
    return subscription


def read_headers(raw: bytes) -> dict[str, str] | None:
    """The headers of a message by name, the server's own as `Status` and `Description`; None where they are broken.

    They are the same that the library finds, in less than half the time. A line that is no header is left out.
    """
    first, _, lines = raw.partition(b"\r\n")
    status, _, description = first[len(_VERSION) :].strip().partition(b" ")
    found: dict[str, str] = {}
    try:
        if status.isdigit():
            found["Status"] = status.decode()
        if description:
            found["Description"] = description.decode()
    except ValueError:
        return None
    for line in lines.decode(errors="replace").split("\r\n"):
        name, colon, value = line.partition(":")
        name = name.strip(_BLANK)
        if colon and name.isascii() and (not name or name.split() == [name]):
            found[name] = value.strip(_BLANK)
    return found or None


def _line(subject: str, reply: str) -> bytes:
    """What a published message's first line says before the sizes; empty where a subject is not as usual."""
    line = f"{subject} {reply} " if reply else f"{subject} "
    usual = subject and line.isprintable() and line.count(" ") == (2 if reply else 1)
    return line.encode() if usual else b""


def _block(headers: dict[str, str]) -> bytes | None:
    """The headers as they go over the wire; None where they are not as usual."""
    block = [_VERSION.decode()]
    for name, value in headers.items():
        if not (name.isprintable() and value.isprintable()) or ":" in name or " " in name or not name:
            return None
        block.append(f"{name}: {value}")
    return "\r\n".join([*block, "\r\n"]).encode()
