"""The SDK's connection against a real nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.msg import Msg

from hub.client.link import Link
from hub.client.tasks import Tasks
from hub.errors import Unavailable
from tests.servers import NatsServer
from tests.waiting import until


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    owner = Tasks()
    yield owner
    await owner.aclose()


async def test_a_connection_that_the_server_ends_with_an_error_is_replaced(
    nats_server: NatsServer, tasks: Tasks
) -> None:
    heard: list[bytes] = []
    missed: list[bool] = []

    async def on_message(message: Msg) -> None:
        heard.append(message.data)

    link = Link([nats_server.url], "replaced", tasks, lambda: missed.append(True))
    await link.open(within=10)
    await link.subscribe("some.subject", on_message)
    await link.publish("x" * 5000, b"")  # longer than a server takes: it answers with an error and hangs up
    await until(lambda: missed, "another connection has taken its place")
    assert link.connected
    await link.publish("some.subject", b"still heard")
    await until(lambda: heard == [b"still heard"], "what was heard before is heard again")
    await link.aclose()
    assert not link.connected


async def test_a_link_replaces_its_connection_only_once_the_server_is_back(
    nats_server: NatsServer, tasks: Tasks
) -> None:
    missed: list[bool] = []
    link = Link([nats_server.url], "patient", tasks, lambda: missed.append(True))
    await link.open(within=10)
    await link.publish("x" * 5000, b"")
    await until(lambda: not link.connected, "the server has hung up")
    nats_server.restart()
    await until(lambda: link.connected and missed, "it is connected again")
    await link.aclose()


async def test_a_link_closed_while_it_is_being_replaced_stays_closed(nats_server: NatsServer, tasks: Tasks) -> None:
    link = Link([nats_server.url], "closed", tasks, lambda: None)
    await link.open(within=10)
    await link.publish("x" * 5000, b"")
    await until(lambda: not link.connected, "the server has hung up")
    await tasks.aclose()
    await link.aclose()
    assert not link.connected
    with pytest.raises(Unavailable):
        await link.publish("some.subject", b"")


async def test_a_cancelled_start_leaves_nothing(nats_server: NatsServer, tasks: Tasks) -> None:
    nats_server.pause()
    before = asyncio.all_tasks()
    link = Link([nats_server.url], "cancelled", tasks, lambda: None)
    opening = asyncio.create_task(link.open(within=30))
    await asyncio.sleep(0.1)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    nats_server.resume()
    await until(lambda: asyncio.all_tasks() == before, "all tasks have ended")
