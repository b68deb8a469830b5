"""When to say which services this one uses: at a change, and from time to time, since beats may be lost."""

from __future__ import annotations

PERIOD = 60.0
"""Seconds until what was said is said again. The hub remembers it for 15 times as long."""
MOST = 64
"""Services that fit into one beat."""


class Uses:
    """What this service has discovered of late, as its beats say it."""

    def __init__(self) -> None:
        self._said: tuple[str, ...] = ()
        self._due = 0.0

    def to_say(self, names: tuple[str, ...], now: float) -> tuple[str, ...]:
        """What the beat that is sent now should say; empty where nothing has to be said. Counts as saying it.

        Args:
            names: The services discovered of late.
            now: Monotonic seconds.
        """
        names = names[:MOST]
        if not names or (names == self._said and now < self._due):
            return ()
        self._said, self._due = names, now + PERIOD
        return names

    def repeat(self) -> None:
        """Whoever listens may have missed what was said."""
        self._due = 0.0
