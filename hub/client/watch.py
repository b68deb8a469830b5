"""Following the instances of a service, change by change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Self

from hub.wire.discovery import Instance


@dataclass(frozen=True, slots=True)
class Change:
    """An instance appeared, changed (its status, most often), or is gone; then `instance` is how it was last known."""

    kind: Literal["added", "changed", "removed"]
    instance: Instance


class Watch:
    """An endless iterator over the changes of a service, which begins with the instances there are.

    It remembers which instances have news, not the news: who reads slowly is told of the state in the end, not of every
    step to it, and nothing is ever lost or piles up. It ends when the client is closed.

    Args:
        look_up: How an instance is now; None where it is gone.
        ids: The instances there are.
    """

    def __init__(self, look_up: Callable[[str], Instance | None], ids: Iterable[str]) -> None:
        self._look_up = look_up
        self._told: dict[str, Instance] = {}
        self._news: dict[str, None] = dict.fromkeys(ids)
        self._wake = asyncio.Event()
        self._ended = False

    def notify(self, ids: Iterable[str]) -> None:
        """These instances have changed."""
        self._news.update(dict.fromkeys(ids))
        self._wake.set()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._ended:
            while self._news:
                instance_id = next(iter(self._news))
                del self._news[instance_id]
                if (change := self._change(instance_id)) is not None:
                    return change
            self._wake.clear()
            await self._wake.wait()
        raise StopAsyncIteration

    def _change(self, instance_id: str) -> Change | None:
        before, now = self._told.get(instance_id), self._look_up(instance_id)
        if now is None:
            self._told.pop(instance_id, None)
            return Change("removed", before) if before is not None else None
        self._told[instance_id] = now
        if before is None:
            return Change("added", now)
        return Change("changed", now) if now != before else None
