"""Which instance runs with which revision of its configuration. On `hub.config.status`, and in heartbeats."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from hub.wire.canary import CanaryState
from hub.wire.config import Revision
from hub.wire.names import InstanceId, Reason, ServiceName

Verdict = Literal["applied", "pending", "refused", "lagging", "unknown"]
"""How an instance stands to the wanted revision: it runs it; it was told and has said nothing yet; it has refused it;
it has said nothing for too long; it has never said what it runs."""


class ConfigRefusal(Struct, frozen=True, kw_only=True):
    """An instance cannot run with a revision."""

    revision: Revision
    reason: Reason


class ConfigStatusQuery(Struct, frozen=True, kw_only=True):
    """Asks who runs what."""

    service: ServiceName
    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many instances at most; 0 for as many as the reply can hold."""
    after: str = ""
    """Only instances after this id."""


class InstanceConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one instance runs with."""

    instance_id: InstanceId
    verdict: Verdict
    running: int | None = None
    """The revision that it runs with; null where it has not said."""
    since: datetime | None = None
    """When it said so first."""
    refused: ConfigRefusal | None = None
    """What it has refused, where that is newer than what it runs."""
    canary: bool = False
    """Whether it is one of those who try a canary."""


class ConfigStatus(Struct, frozen=True, kw_only=True):
    """Who runs what, as this hub has heard."""

    service: str
    wanted: int
    """The revision that all should run with."""
    counts: dict[Verdict, int]
    """How many instances stand how, of all of them."""
    instances: tuple[InstanceConfig, ...]
    next: str | None = None
    """What to ask for as `after`, where the list was cut."""
    canary: CanaryState | None = None
    """The canary of the service, or else of `_all`, that is being tried."""
