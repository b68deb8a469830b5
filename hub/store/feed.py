"""One ephemeral push consumer on a bucket: its messages in order, or the news that the order is lost.

A feed never mends itself. Whoever reads it throws a broken one away and opens another, on another inbox, so that
nothing of the old can be taken for the new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hub.store.api import PREFIX, JetStreamApi
from hub.store.streams import BucketSpec
from hub.transport.direct import subscribe_direct

GAP: Final = "messages were lost"
LISTENER_FAILED: Final = "the listener failed"
_INACTIVE_AFTER: Final = 10.0
_NANOSECONDS: Final = 1_000_000_000

Deliver = Callable[[str, bytes | None, int], None]


class Position(NamedTuple):
    """Where a delivered message stands: in the stream, in its consumer, and how many were to follow it."""

    stream_seq: int
    consumer_seq: int
    pending: int


def position(reply: str) -> Position:
    """Read the reply subject of a delivered message: nine tokens, or more with domain and account (ADR-15)."""
    tokens = reply.split(".")
    first = 5 if len(tokens) == 9 else 7
    return Position(int(tokens[first]), int(tokens[first + 1]), int(tokens[first + 3]))


def is_marker(headers: Mapping[str, str] | None) -> bool:
    """Whether a stored message says that its key is gone: deleted, purged or expired."""
    return bool(headers) and ("KV-Operation" in headers or "Nats-Marker-Reason" in headers)  # type: ignore[operator]


class Feed:
    """Delivers the newest message of every key in the order they were stored, and then every new one.

    Args:
        client: The connection.
        api: Makes the consumer.
        spec: The bucket.
        heartbeat: Seconds of quiet after which the server says that it is still there.
        deliver: Told key, value (None for a marker) and revision of each message.
    """

    def __init__(self, client: Client, api: JetStreamApi, spec: BucketSpec, heartbeat: float, deliver: Deliver) -> None:
        self._client = client
        self._api = api
        self._spec = spec
        self._heartbeat = heartbeat
        self._deliver = deliver
        self._skip = len(spec.prefix)
        self._inbox = client.new_inbox()
        self._name = "hub-" + self._inbox.rpartition(".")[2]
        self._subscription: Subscription | None = None
        self._now: Callable[[], float] = lambda: 0.0
        self._count = 0
        self._expects_nothing = False
        self.last = 0
        """Sequence of the newest message delivered."""
        self.heard = 0.0
        """Loop time of the last sign of life."""
        self.broken: str | None = None
        """Why no more is delivered."""
        self.caught_up = asyncio.Event()
        """Set once the consumer had nothing more to send, and when the feed breaks."""
        self.broke = asyncio.Event()

    async def open(self) -> None:
        """Subscribe, and make the consumer that delivers here.

        Raises:
            StreamMissing, ApiRefused, Unavailable, DeadlineExceeded: there is no consumer.
        """
        loop = asyncio.get_running_loop()
        self._now = loop.time
        self._subscription = await subscribe_direct(self._client, self._inbox, self._on_message)
        self.heard = loop.time()
        made = await self._api.create_consumer(self._spec.stream, self._name, self._config())
        self.heard = loop.time()
        if made.num_pending == 0:
            self._expects_nothing = True
            if self._count == 0:
                self.caught_up.set()

    async def aclose(self) -> None:
        """Stop delivering. The consumer is deleted when the server can be told, and else goes by itself."""
        self._break("closed")
        if self._subscription is None or self._client.is_closed:
            return
        try:
            await self._subscription.unsubscribe()
            if self._client.is_connected:
                await self._client.publish(f"{PREFIX}CONSUMER.DELETE.{self._spec.stream}.{self._name}")
        except (nats.errors.Error, OSError):
            pass  # the connection is going: the server drops the consumer when its inbox has no listener

    def _config(self) -> dict[str, object]:
        return {
            "deliver_subject": self._inbox,
            "deliver_policy": "last_per_subject",
            "filter_subject": f"{self._spec.prefix}>",
            "ack_policy": "none",
            "max_deliver": 1,
            "mem_storage": True,
            "num_replicas": 1,
            "idle_heartbeat": round(self._heartbeat * _NANOSECONDS),
            "flow_control": True,  # without it a large bucket overruns the server's buffer for us, and it hangs up
            "inactive_threshold": round(_INACTIVE_AFTER * _NANOSECONDS),
        }

    async def _on_message(self, message: Msg) -> None:
        self.heard = self._now()
        if self.broken is not None:
            return
        headers = None if message.data else message.headers  # what is no value has none
        if headers and "Status" in headers:
            await self._on_control(message.reply, headers)
            return
        at = position(message.reply)
        if at.consumer_seq != self._count + 1:
            self._break(GAP)
            return
        self._count += 1
        self.last = at.stream_seq
        try:
            self._deliver(message.subject[self._skip :], None if is_marker(headers) else message.data, at.stream_seq)
        except Exception:
            self._break(LISTENER_FAILED)
            raise  # to the connection's owner, who hears of every callback's error
        if at.pending == 0:
            self.caught_up.set()

    async def _on_control(self, reply: str, headers: Mapping[str, str]) -> None:
        """Answer flow control; learn from a heartbeat how many messages there should have been."""
        answer = reply or headers.get("Nats-Consumer-Stalled", "")
        if answer:
            await self._client.publish(answer)
        told = headers.get("Nats-Last-Consumer")
        if told is None:
            return
        if int(told) != self._count:
            self._break(GAP)
        elif "Nats-Consumer-Stalled" not in headers and (self._count or self._expects_nothing):
            self.caught_up.set()

    def _break(self, reason: str) -> None:
        if self.broken is None:
            self.broken = reason
            self.broke.set()
            self.caught_up.set()
