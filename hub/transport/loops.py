"""A loop that runs in the background for as long as its owner lives: by itself, or under somebody's supervision."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")

BOUND: Final = 15.0
"""Seconds without a sign of life after which a loop counts as stuck, unless it says otherwise."""
IDLE: Final = 1.0
"""Seconds that a loop with nothing to do waits for something before it gives a sign of life and waits again."""

Beat = Callable[[], None]
"""Called by a loop to tell that it is alive."""
Loop = Callable[[Beat], Coroutine[Any, Any, None]]
"""Runs for ever, and can be started again after it failed or was cancelled: what it must remember is its owner's."""


class Kept(Protocol):
    """A loop that runs."""

    async def aclose(self) -> None:
        """End it; nothing starts it again."""


class Keep(Protocol):
    """Runs a loop from now on."""

    def __call__(self, name: str, loop: Loop, *, bound: float = BOUND) -> Kept:
        """Run `loop`, known as `name`, taken to be stuck when it does not beat for more than `bound` seconds."""


class _Alone:
    """A loop that nobody supervises: when it fails, that is that."""

    def __init__(self, name: str, loop: Loop) -> None:
        self._task = asyncio.create_task(loop(unheard), name=name)

    async def aclose(self) -> None:
        """See `Kept`."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def unheard() -> None:
    """The beat of a loop that nobody listens to."""


def alone(name: str, loop: Loop, *, bound: float = BOUND) -> Kept:
    """Run a loop unsupervised, as clients do."""
    return _Alone(name, loop)


async def woken(event: asyncio.Event, beat: Beat) -> None:
    """Wait for an event, giving signs of life meanwhile."""
    while not event.is_set():
        beat()
        try:
            async with asyncio.timeout(IDLE):
                await event.wait()
        except TimeoutError:
            pass  # nothing to do yet
    beat()


async def beating(work: Awaitable[T], beat: Beat) -> T:
    """Wait for work that ends by itself, giving signs of life meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=IDLE))[0]:
            beat()
        return task.result()
    finally:
        task.cancel()
