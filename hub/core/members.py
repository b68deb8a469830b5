"""Which replicas of the hub there are, from what is heard of them."""

from __future__ import annotations

from typing import Final

ANNOUNCE_EVERY: Final = 1.0
"""Seconds between two announcements of a replica."""
GONE_AFTER: Final = 3.5
"""Seconds without an announcement after which a replica is gone: three may be lost in a row."""
SETTLE: Final = 1.5
"""Seconds that a replica listens after its start before it counts itself in: by then all others have spoken."""


class Members:
    """The replicas that this one knows of. All times are monotonic seconds.

    It doubts itself first: silence counts from when this hub began to hear well, so that after a stall of its own
    nobody is gone before a full `GONE_AFTER` of listening.

    Args:
        own: The id of this hub, which is a member once it has listened for `SETTLE`.
        now: When it begins to listen.
    """

    def __init__(self, own: str, now: float) -> None:
        self._own = own
        self._began = now
        self._heard: dict[str, float] = {}
        self._settled = False

    @property
    def present(self) -> tuple[str, ...]:
        """Everybody, this hub included, sorted; nobody before it has settled."""
        return tuple(sorted((self._own, *self._heard))) if self._settled else ()

    @property
    def known(self) -> int:
        """How many replicas there are, this one included, settled or not."""
        return 1 + len(self._heard)

    def heard(self, hub_id: str, now: float) -> bool:
        """A replica has announced itself. Returns whether it was not known."""
        if hub_id == self._own:
            return False
        is_new = hub_id not in self._heard
        self._heard[hub_id] = now
        return is_new

    def left(self, hub_id: str) -> bool:
        """A replica has said farewell. Returns whether it was known."""
        return self._heard.pop(hub_id, None) is not None

    def tick(self, now: float, hearing_since: float) -> list[str]:
        """Time has passed: the replicas that are gone by silence.

        Args:
            now: The time.
            hearing_since: When this hub began to hear well.
        """
        if not self._settled and now - self._began >= SETTLE:
            self._settled = True
        if now - hearing_since <= GONE_AFTER:
            return []
        gone = [hub_id for hub_id, heard in self._heard.items() if now - heard > GONE_AFTER]
        for hub_id in gone:
            del self._heard[hub_id]
        return gone
