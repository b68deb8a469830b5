"""TCP checks: connections that are taken, refused, or left hanging in the air."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from hub.wire.checks import TcpCheck
from tests.faults.probes.conftest import LookAt
from tests.faults.probes.peers import hanging, serving
from tests.servers import free_port
from tests.waiting import until

SOON = 0.4


@pytest.fixture
def crowded() -> Iterator[int]:
    """A port that takes no connection and refuses none: its queue is full, and nobody empties it."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def test_a_port_that_takes_connections_passes(look_at: LookAt) -> None:
    async with serving(hanging) as peer:
        assert (await look_at(TcpCheck(), peer.port))[:2] == (True, "connected")
        await until(lambda: peer.connections == 1 and not peer.busy, "the connection is closed")


async def test_a_port_that_nobody_listens_on_fails(look_at: LookAt) -> None:
    assert (await look_at(TcpCheck(), free_port()))[:2] == (False, "connection refused")


async def test_a_connection_that_is_not_taken_fails_in_time_and_leaves_nothing(look_at: LookAt, crowded: int) -> None:
    before = len(os.listdir("/dev/fd"))
    outcomes = await asyncio.gather(*(look_at(TcpCheck(timeout=SOON), crowded) for _ in range(20)))
    assert {outcome[:2] for outcome in outcomes} == {(False, f"no answer within {SOON} s")}
    await until(lambda: len(os.listdir("/dev/fd")) <= before, "all sockets are closed")
