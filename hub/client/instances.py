"""What a discovery of all instances answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hub.wire.discovery import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """The instances that match, and how much they can be relied on. Iterates over, and counts, its instances.

    Attributes:
        name: The service.
        instances: Those that match, sorted by instance id (or as the strategy prefers them).
        degraded: Only instances not known to be well were left.
        revision: The registry's revision that this is as new as.
        age: Seconds since the cache was last known to be complete; while all is well, less than about 30.
        stale: NATS is away, or something may have been missed and could not be read yet: this may be out of date.
    """

    name: str
    instances: tuple[Instance, ...]
    degraded: bool
    revision: int
    age: float
    stale: bool

    def __iter__(self) -> Iterator[Instance]:
        return iter(self.instances)

    def __len__(self) -> int:
        return len(self.instances)
