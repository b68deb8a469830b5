"""What is stored of one service's configuration: its own record and that of `_all`, each at its revision."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from hub.core.canary import Traits, seen_by
from hub.core.layers import laid_together, origins
from hub.wire.config import (
    ConfigRecord,
    Layer,
    Pointer,
)


class Stored(Struct, frozen=True):
    """The newest of one scope; `record` is None where there is none, or it was deleted at `revision`."""

    revision: int = 0
    record: ConfigRecord | None = None


NOTHING: Final = Stored()


class Layered(Struct, frozen=True):
    """Both scopes that a service's configuration is laid together from."""

    own: Stored = NOTHING
    shared: Stored = NOTHING

    @property
    def revision(self) -> int:
        """At which a service runs with this; 0 where there is nothing."""
        return max(stored.revision if stored.record else 0 for stored in (self.own, self.shared))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stored for the service at all."""
        return self.own.record is None and self.shared.record is None

    def values(self, instance: Traits | None) -> dict[str, Any]:
        """All layers laid together for an instance. What is in them is shared with the records: not to be changed."""
        return laid_together(self.own.record, self.shared.record, instance)

    def origins(self, instance: Traits | None) -> dict[Pointer, Layer]:
        """Where each value comes from that is no object, or an empty one."""
        return origins(self.own.record, self.shared.record, instance)

    def is_canary(self, instance: Traits | None) -> bool:
        """Whether an instance tries a canary of either scope."""
        records = (self.own.record, self.shared.record)
        return any(seen_by(record, instance) is not record for record in records)

    def is_older_than(self, other: Layered) -> bool:
        """Whether either scope is at a lower revision than in the other."""
        return self.own.revision < other.own.revision or self.shared.revision < other.shared.revision

    def over(self, other: Layered) -> Layered:
        """Each scope at its higher revision; where they are equal, as here."""
        return Layered(
            own=other.own if other.own.revision > self.own.revision else self.own,
            shared=other.shared if other.shared.revision > self.shared.revision else self.shared,
        )
