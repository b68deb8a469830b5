"""The mass-silence guard: many who fall silent at once while still connected are more likely unheard than dead."""

from __future__ import annotations

from collections.abc import KeysView, Mapping

SMALL_FLEET = 20
"""Fleets up to this size are not guarded: half of it may well die at once."""


class MassSilence:
    """Counts the silent and those of them that are connected; all in O(1), whatever the fleet.

    An instance is overdue from half of its ttl without a beat until it beats or is found critical. It is mute when it
    is overdue and NATS reports a connection of its name.
    """

    def __init__(self) -> None:
        self._connections: dict[str, int] = {}
        self._overdue: dict[str, None] = {}
        self._mute: dict[str, None] = {}
        self._held: dict[str, None] = {}
        self._story: str | None = None

    # --- what NATS reports

    @property
    def connected_names(self) -> int:
        """How many names have connections."""
        return len(self._connections)

    def connected(self, key: str) -> None:
        """One more connection of that name."""
        self._connections[key] = self._connections.get(key, 0) + 1
        if key in self._overdue:
            self._mute[key] = None

    def disconnected(self, key: str) -> bool:
        """One connection less. Returns whether that was the last, or none was known."""
        left = self._connections.get(key, 0) - 1
        if left > 0:
            self._connections[key] = left
            return False
        self._connections.pop(key, None)
        self._mute.pop(key, None)
        return True

    def replace_connections(self, names: Mapping[str, int]) -> None:
        """These connections exist, and no others."""
        self._connections = {name: count for name, count in names.items() if count > 0}
        self._mute = {key: None for key in self._overdue if key in self._connections}

    # --- who is silent

    def overdue(self, key: str) -> None:
        """Silent for half of its ttl."""
        self._overdue[key] = None
        if key in self._connections:
            self._mute[key] = None

    def settle(self, key: str) -> None:
        """It has beaten, is critical now, or is gone: no longer overdue."""
        if key in self._overdue:
            del self._overdue[key]
            self._mute.pop(key, None)
            self.release(key)

    def settle_all(self) -> list[str]:
        """Nobody's silence counts. Returns those who were overdue."""
        keys = list(self._overdue)
        for key in keys:
            self.settle(key)
        return keys

    # --- who is kept

    def is_on(self, fleet: int) -> bool:
        """Whether half or more of a fleet of more than 20 is mute."""
        return fleet > SMALL_FLEET and 2 * len(self._mute) >= fleet

    def is_mute(self, key: str) -> bool:
        """Whether it is silent while its connection is up."""
        return key in self._mute

    def hold(self, key: str, fleet: int) -> None:
        """Keep it, critical as it should be."""
        self._held[key] = None
        self._story = (
            f"{len(self._mute)} of {fleet} instances fell silent within one ttl while their connections are up"
        )

    def is_held(self, key: str) -> bool:
        """Whether it is kept."""
        return key in self._held

    def release(self, key: str) -> None:
        """Keep it no longer."""
        if key in self._held:
            del self._held[key]
            if not self._held:
                self._story = None

    def unfounded(self) -> list[str]:
        """The kept whose connections are gone: nothing speaks for them any more."""
        return [key for key in self._held if key not in self._mute]

    @property
    def held(self) -> KeysView[str]:
        """Those who are kept."""
        return self._held.keys()

    @property
    def doubt(self) -> str | None:
        """Why instances are kept; None where none is."""
        return self._story
