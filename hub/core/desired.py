"""What operators want of instances: how each request changes it, and all of it by instance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from hub.wire.record import Desired

Mode = Literal["draining", "maintenance"]

NOTHING: Final = Desired()
"""What is wanted of most instances."""


class Wanted(NamedTuple):
    """What is wanted of an instance, and the revision that made it so (0: none is known)."""

    desired: Desired
    revision: int


# --- how requests change it


def with_mode(before: Desired, mode: Mode, reason: str | None) -> Desired:
    """Into a mode, in place of another one. Without a reason, one given before for the same mode stays."""
    kept = before.reason if before.mode == mode else ""
    return msgspec.structs.replace(before, mode=mode, reason=kept if reason is None else reason)


def without_mode(before: Desired, mode: Mode, reason: str | None) -> Desired:
    """Out of a mode; an instance in another one stays there."""
    if before.mode != mode:
        return before
    return msgspec.structs.replace(before, mode=None, reason=reason or "")


def with_weight(before: Desired, weight: int | None, reason: str | None) -> Desired:
    """With a weight in place of its own; None for its own."""
    return msgspec.structs.replace(before, weight=weight, reason=_reason(before, reason))


def with_metadata(before: Desired, changes: Mapping[str, Any] | None, reason: str | None) -> Desired:
    """With metadata over its own: keys are added, those that are None are lifted; None in place of it lifts all."""
    merged = {} if changes is None else {**before.metadata, **changes}
    kept = {key: value for key, value in merged.items() if value is not None}
    return msgspec.structs.replace(before, metadata=kept, reason=_reason(before, reason))


def signed(before: Desired, after: Desired, author: str, now: datetime) -> Desired:
    """What a change comes to: `before` itself where nothing is different, else with who changed it, and when."""
    if after == before:
        return before
    if after.mode is None and after.weight is None and not after.metadata:
        return NOTHING
    return msgspec.structs.replace(after, author=author, changed_at=now)


def _reason(before: Desired, reason: str | None) -> str:
    """A mode's reason is not replaced by that of something less."""
    return before.reason if reason is None or before.mode is not None else reason


class DesiredStates:
    """What is wanted, by the instances' keys.

    A change is told twice, at once by who stored it and in its turn by the watch; what is older than known is no news.
    """

    def __init__(self) -> None:
        self._states: dict[str, Wanted] = {}
        self._services: dict[str, dict[str, None]] = {}
        self._gone: dict[str, int] = {}

    def get(self, key: str) -> Desired | None:
        """What is wanted of an instance; None for nothing."""
        wanted = self._states.get(key)
        return wanted.desired if wanted else None

    def wanted(self, key: str) -> Wanted:
        """The same with its revision; of nothing, the revision at which it was lifted, while that is known."""
        return self._states.get(key) or Wanted(NOTHING, self._gone.get(key, 0))

    def keys(self, service: str = "") -> list[str]:
        """The keys of whom something is wanted, of one service or of all, sorted."""
        return sorted(self._services.get(service, ()) if service else self._states)

    def put(self, key: str, desired: Desired, revision: int) -> bool:
        """Something is wanted. Returns whether that is news."""
        known = self.wanted(key)
        if revision < known.revision:
            return False
        self._gone.pop(key, None)
        self._states[key] = Wanted(desired, revision)
        self._services.setdefault(key.partition(".")[0], {})[key] = None
        return desired != known.desired

    def lift(self, key: str, revision: int) -> bool:
        """Nothing is wanted any more, as the watch tells. Returns whether that is news."""
        if revision < self.wanted(key).revision:
            return False
        self._gone.pop(key, None)
        return self._drop(key)

    def anticipate_lift(self, key: str, revision: int) -> bool:
        """Nothing is wanted any more, as was just stored here; the watch will tell. Returns whether that is news."""
        if revision < self.wanted(key).revision:
            return False
        self._gone[key] = revision
        return self._drop(key)

    def reset(self) -> None:
        """The store was recreated: its revisions start again. What is known stays until it is swept or replaced."""
        self._gone.clear()
        self._states = {key: Wanted(wanted.desired, 0) for key, wanted in self._states.items()}

    def _drop(self, key: str) -> bool:
        if self._states.pop(key, None) is None:
            return False
        service = key.partition(".")[0]
        keys = self._services[service]
        del keys[key]
        if not keys:
            del self._services[service]
        return True
