"""Messages delivered in the reader's own turn."""

from __future__ import annotations

import asyncio

import pytest
from nats.aio.msg import Msg

from hub.transport.connection import Notices, connect
from hub.transport.direct import subscribe_direct
from tests.calls import connected
from tests.servers import NatsServer
from tests.waiting import until


async def test_a_direct_subscription_has_no_queue_and_keeps_the_order(shared_nats: NatsServer) -> None:
    client = await connect(shared_nats.url, name="direct")
    heard: list[bytes] = []
    queued: list[int] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)
        queued.append(subscription.pending_msgs)

    subscription = await subscribe_direct(client, "direct.order", hear)
    for number in range(1000):
        await client.publish("direct.order", b"%d" % number)
    await until(lambda: len(heard) == 1000)
    assert heard == [b"%d" % number for number in range(1000)]
    assert set(queued) == {0}, "the library delivers elsewhere now: see DirectClient"
    await client.close()


async def test_a_direct_callback_that_fails_does_not_end_the_connection(shared_nats: NatsServer) -> None:
    told: list[Exception] = []

    async def on_error(error: Exception) -> None:
        told.append(error)

    client = await connect(shared_nats.url, name="direct", notices=Notices(error=on_error))
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)
        if message.data == b"bad":
            raise ValueError("cannot")

    await subscribe_direct(client, "direct.failing", hear)
    await client.publish("direct.failing", b"bad")
    await client.publish("direct.failing", b"good", headers={"a": "b"})
    await until(lambda: len(heard) == 2)
    assert [str(error) for error in told] == ["cannot"]
    await client.close()


async def test_a_drained_direct_subscription_hears_what_was_sent_before_and_nothing_after(
    shared_nats: NatsServer,
) -> None:
    client = await connect(shared_nats.url, name="direct")
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    subscription = await subscribe_direct(client, "direct.drained", hear)
    await client.flush()
    async with connected(shared_nats.url) as other:
        await other.publish("direct.drained", b"before")
        await other.flush()
        await subscription.drain()  # type: ignore[no-untyped-call]
        assert heard == [b"before"]
        await other.publish("direct.drained", b"after")
        await other.flush()
    await client.flush()
    assert heard == [b"before"]
    await client.close()


async def test_a_direct_subscription_survives_a_reconnect(nats_server: NatsServer) -> None:
    client = await connect(nats_server.url, name="direct")
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    await subscribe_direct(client, "direct.again", hear)
    await asyncio.to_thread(nats_server.restart)
    async with connected(nats_server.url) as other:
        async with asyncio.timeout(30):
            while not heard:
                await other.publish("direct.again", b"again")
                await asyncio.sleep(0.05)
    assert set(heard) == {b"again"}
    await client.close()


async def test_on_another_client_it_is_an_ordinary_subscription(shared_nats: NatsServer) -> None:
    async with connected(shared_nats.url) as client:
        heard: list[bytes] = []

        async def hear(message: Msg) -> None:
            heard.append(message.data)

        await subscribe_direct(client, "direct.ordinary", hear)
        await client.publish("direct.ordinary", b"x")
        await until(lambda: heard)


pytestmark = pytest.mark.timeout(60)
