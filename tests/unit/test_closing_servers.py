"""Servers that tests stand up leave nothing behind for the garbage collector, which would tell some later test."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings

from tests.httptarget import HttpTarget
from tests.proxy import Proxy


async def _leave_while_somebody_comes(kind: str) -> None:
    caller = socket.socket()
    caller.setblocking(False)
    with caller:
        if kind == "proxy":
            async with Proxy(1) as proxy:
                await _come(caller, int(proxy.url.rpartition(":")[2]))
        else:
            async with HttpTarget() as target:
                await _come(caller, target.port)


async def _come(caller: socket.socket, port: int) -> None:
    """Be connected by the kernel, and taken by the server in this very turn of the loop."""
    caller.connect_ex(("127.0.0.1", port))
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_a_server_that_closes_while_somebody_comes_leaves_no_socket_behind() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        for kind in ("proxy", "target"):
            for _ in range(20):
                asyncio.run(_leave_while_somebody_comes(kind))
        gc.collect()
    assert [str(each.message) for each in told if "socket.socket" in str(each.message)] == []
