"""Those who beat and are not registered, and when to ask them to register."""

from __future__ import annotations

PATIENCE = 0.3
"""Seconds that a registration may take from one replica to the other."""
PAUSE = 5.0
"""Seconds between two requests to the same stranger."""
MAX_STRANGERS = 10_000
"""Strangers remembered at once; further ones are heard when there is room again."""


class Strangers:
    """Asks each stranger `PATIENCE` after its first beat, and at most once per `PAUSE`."""

    def __init__(self) -> None:
        self._waiting: dict[str, float] = {}
        self._asked: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._asked)

    def beat(self, key: str, now: float) -> None:
        """A stranger has beaten."""
        if key in self._waiting:
            return
        asked = self._asked.get(key)
        if asked is not None:
            if now < asked + PAUSE:
                return
            del self._asked[key]
        if len(self) < MAX_STRANGERS:
            self._waiting[key] = now

    def discard(self, key: str) -> None:
        """It is a stranger no more. That it was asked is remembered, should it be forgotten again soon."""
        self._waiting.pop(key, None)

    def due(self, now: float) -> list[str]:
        """Those to ask now, longest known first. Counts as asking them."""
        while self._asked and now >= self._asked[oldest := next(iter(self._asked))] + PAUSE:
            del self._asked[oldest]
        due: list[str] = []
        while self._waiting and now >= self._waiting[oldest := next(iter(self._waiting))] + PATIENCE:
            del self._waiting[oldest]
            self._asked[oldest] = now
            due.append(oldest)
        return due
