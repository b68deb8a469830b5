"""The mass-failure guard: when half of a fleet fails at once, the hub's own network is the likelier cause.

It is for what the hub looks at as `silence` is for what it hears.
"""

from __future__ import annotations

from hub.core.silence import SMALL_FLEET


class MassFailure:
    """Counts the instances that passed all their checks, and those of them that now fail a look; all in O(1)."""

    def __init__(self) -> None:
        self._passing: dict[str, None] = {}
        self._failing: dict[str, None] = {}
        self._held: dict[str, set[str]] = {}
        self._story: str | None = None

    def note(self, key: str, *, passing: bool, failing: bool) -> None:
        """Whether all checks of an instance pass, as far as told; and whether the latest look at one of them failed."""
        if passing:
            self._passing[key] = None
        else:
            self._passing.pop(key, None)
        if passing and failing:
            self._failing[key] = None
        else:
            self._failing.pop(key, None)
            self._release(key)

    def forget(self, key: str) -> None:
        """The instance is gone, or another hub looks at it."""
        self.note(key, passing=False, failing=False)

    @property
    def is_on(self) -> bool:
        """Whether half or more of a fleet of more than 20 fails."""
        return len(self._passing) > SMALL_FLEET and 2 * len(self._failing) >= len(self._passing)

    def keeps(self, key: str, name: str) -> bool:
        """Whether a check that is about to fail is kept passing: for one more round, and then it is believed."""
        if name in self._held.get(key, ()):
            return False
        if not self.is_on:
            return False
        self._held.setdefault(key, set()).add(name)
        self._story = (
            f"{len(self._failing)} of {len(self._passing)} instances that passed fail within one round of probes"
        )
        return True

    @property
    def doubt(self) -> str | None:
        """Why checks are kept passing; None where none is."""
        return self._story

    def held_services(self) -> frozenset[str]:
        """The services whose instances are only kept on trust."""
        return frozenset(key.partition(".")[0] for key in self._held)

    def _release(self, key: str) -> None:
        if self._held.pop(key, None) is not None and not self._held:
            self._story = None
