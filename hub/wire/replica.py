"""What the replicas of the hub tell each other: that they are there, and what they found where they looked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from hub.wire.checks import MAX_CHECKS, CheckState
from hub.wire.names import InstanceId


class Announcement(Struct, frozen=True, kw_only=True):
    """A replica of the hub is there, and shares in the work.

    It says so every second. Who has not been heard for 3.5 s, or has said farewell, is gone.
    """

    hub_id: InstanceId
    started: datetime
    version: str
    """Of the distribution that it runs."""
    checks: Annotated[int, Meta(ge=0)] = 0
    """How many checks it makes."""
    leaving: bool = False
    """Whether this is its farewell."""


class Findings(Struct, frozen=True, kw_only=True):
    """How checks of one instance stand, by the replica that makes them; every replica takes it in."""

    states: Annotated[tuple[CheckState, ...], Meta(max_length=MAX_CHECKS)]
    by: InstanceId
    """The replica that found it."""
