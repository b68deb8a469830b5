"""Waiting for what must become true, in place of sleeping and hoping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

PATIENCE = 30.0


async def until(condition: Callable[[], object], what: str = "", *, within: float = PATIENCE) -> None:
    """Return once `condition()` holds; fail with `what` after `within` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not condition():
        assert loop.time() < deadline, f"not within {within:g} s: {what or condition}"
        await asyncio.sleep(0.01)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks until they have ended: in Python 3.11 `asyncio.wait_for` may take a result instead."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.1)


async def stop_listening(server: asyncio.Server) -> None:
    """Close a server of asyncio once all that it has accepted has reached its handler.

    A connection is accepted in one turn of the loop, has its transport in the next and its handler in the one after.
    Where the server is closed in between, its socket is left to the garbage collector, which tells some later test.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(3):
        await asyncio.sleep(0)
    server.close()
