"""Trying again: how often, how long, and when not to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hub.core.backoff import backoff
from hub.errors import HubError

T = TypeVar("T")

ATTEMPT_TIMEOUT = 2.0
"""Short, since a request in flight when the connection breaks waits out its whole timeout."""


def wait_after(error: HubError, failures: int) -> float:
    """Seconds to wait after a failure: not before the time that the hub has named, and then by chance as ever."""
    return (error.retry_after or 0.0) + backoff(failures)


async def persist(attempt: Callable[[float], Awaitable[T]], *, within: float) -> T:
    """Call `attempt(timeout)` until it succeeds. What it does must be safe to do twice.

    Where the hub says when to ask again, it is not asked sooner; where that is too late, its refusal is raised at once.

    Args:
        attempt: Does it once, within the seconds it is given.
        within: Seconds for all attempts together.

    Raises:
        HubError: what an attempt raised and trying again cannot mend, or the last failure once the time is over.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    failures = 0
    while True:
        try:
            return await attempt(min(ATTEMPT_TIMEOUT, max(0.05, deadline - loop.time())))
        except HubError as error:
            failures += 1
            wait = wait_after(error, failures)
            if not error.retryable or loop.time() + wait >= deadline:
                raise
        await asyncio.sleep(wait)
