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
