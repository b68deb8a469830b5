"""What operators want of instances, on `hub.admin.*`: kept apart from what instances say of themselves, and stronger.

It holds until operators lift it: across registering anew, deregistering, and restarts of the instance and of the hub.
A message without an `instance_id` is about every instance of the service that is known when it arrives: registered,
or not registered and with something wanted of it already. Those that register later are not covered.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from hub.wire.names import Author, InstanceId, Reason, ServiceName, ServiceNameOrEmpty, Status, Weight
from hub.wire.record import Desired
from hub.wire.registration import MAX_METADATA_DEPTH, nesting


class Target(Struct, frozen=True, kw_only=True):
    """Whom a change is about, why, and who says so."""

    name: ServiceName
    instance_id: InstanceId | None = None
    """One instance; every known instance of the service where none is given."""
    reason: Reason | None = None
    """Why; shown wherever the state is shown, and in the event."""
    author: Author = ""
    """Who; as they like to be called."""
    unregistered: bool = False
    """Whether it may be about an `instance_id` that is not known, to hold from its first registration on."""

    def __post_init__(self) -> None:
        if self.unregistered and self.instance_id is None:
            raise ValueError("instance_id: expected one, since `unregistered` cannot be said of a whole service")


class Drain(Target, frozen=True, kw_only=True):
    """Choose it no more. It stays registered, and may finish what it has begun."""


class Undrain(Target, frozen=True, kw_only=True):
    """Drain it no more. Changes nothing where it is not draining."""


class Maintenance(Target, frozen=True, kw_only=True):
    """Choose it no more, since it is being worked on; or that is over."""

    on: bool
    """false ends the maintenance, and changes nothing where there is none."""


class OverrideWeight(Target, frozen=True, kw_only=True):
    """Count it with this weight, whatever it says itself."""

    weight: Weight | None
    """Its share with the strategy `weighted`; null lets its own count again. Has to be said, even if it is null."""


class OverrideMetadata(Target, frozen=True, kw_only=True):
    """Show it with this metadata laid over its own, key by key."""

    metadata: dict[str, Any] | None
    """What to lay over, besides what already is: a key whose value is null shows the instance's own again; null in
    place of it all lifts everything. Has to be said, even if it is null."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metadata is not None and nesting(self.metadata) > MAX_METADATA_DEPTH:
            raise ValueError(f"metadata: expected at most {MAX_METADATA_DEPTH} levels of nesting, got more")


class GetDesired(Struct, frozen=True, kw_only=True):
    """Asks for what is wanted: of one instance, of a service, or of everybody."""

    name: ServiceNameOrEmpty = ""
    """Only of this service; empty for all of them."""
    instance_id: InstanceId | None = None
    """Only of this instance."""
    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many at most; 0 for no limit."""
    after: Annotated[str, Meta(max_length=128)] = ""
    """Where a list that was cut goes on: the `next` of the answer before."""

    def __post_init__(self) -> None:
        if self.instance_id is not None and not self.name:
            raise ValueError("name: expected the service of the instance, got ''")


class InstanceDesired(Struct, frozen=True, kw_only=True):
    """What is wanted of one instance."""

    name: str
    instance_id: str
    status: Status | None
    """As discovery shows it; null where it is not registered."""
    revision: int
    """Grows with each change to what operators want, of whomever; 0 where nothing ever was. It does not compare with
    the revisions of the registry."""
    desired: Desired
    """Empty where nothing is wanted."""


class Desires(Struct, frozen=True, kw_only=True):
    """What is wanted now, of each instance that the request was about, by service and id.

    The answer to `hub.admin.get` has only those of whom something is wanted. `next` is there when the list was cut:
    ask `hub.admin.get` with `after` set to it.
    """

    instances: tuple[InstanceDesired, ...]
    next: str | None = None
