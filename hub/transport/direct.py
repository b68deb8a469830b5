"""Messages handed to their callback in the reader's own turn, without the queue and the task between.

The library gives every subscription a queue and a task that empties it. For a callback that never waits for another
message that is nothing but cost, about a third of what a message costs in all. Nothing piles up here either: what the
callback has not taken stays in the socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hub.transport.sturdy import SturdyClient

BREATHE_EVERY = 64
"""Messages in a row after which everything else on the event loop gets its turn. Reading what has arrived already never
waits, so that a flood would stop timers, other tasks and even the answers to the server's pings."""

Deliver = Callable[[Msg], Awaitable[None]]


class DirectClient(SturdyClient):
    """A client with some subscriptions delivered directly.

    It steps in where the library hands a parsed message to its subscription. Should the library change that place, the
    messages take their usual way through the queue, which is slower and nothing else; a test would tell.
    """

    def __init__(self) -> None:
        super().__init__()
        self._direct: dict[int, Deliver] = {}
        self._in_a_row = 0

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        deliver = self._direct.get(sid)
        if deliver is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        parsed = await self._process_headers(headers) if headers else None
        message = self._build_message(sid, subject, reply, data, parsed)
        if message is None:
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
