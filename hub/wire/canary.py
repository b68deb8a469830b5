"""Canaries: a change of configuration that only some instances of a service run with, until it has proven itself.

A canary is part of the scope's record: what is to be put, and which instances try it. Each instance decides by itself
whether it is one of them, by what it registers with, so that it needs to ask nobody. After `bake` seconds without a
broken rule the canary is promoted: what it puts is put for all. Where a rule is broken, it is rolled back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from hub.wire.names import InstanceId, Tag, Zone

DEFAULT_BAKE: Final = 300.0
MAX_BAKE: Final = 7 * 86_400.0
MAX_LISTED: Final = 256
"""Instances, zones or tags that a target may name."""

Bake = Annotated[float, Meta(ge=0, le=MAX_BAKE)]
CanaryId = Annotated[str, Meta(min_length=1, max_length=64)]
Percent = Annotated[float, Meta(gt=0, le=100, extra={"expected": "a number above 0 and at most 100"})]


class CanaryTarget(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which instances try a canary: those of which all that is given holds. Nothing given means all."""

    instances: Annotated[tuple[InstanceId, ...], Meta(max_length=MAX_LISTED)] = ()
    """One of these."""
    zones: Annotated[tuple[Zone, ...], Meta(max_length=MAX_LISTED)] = ()
    """In one of these."""
    tags: Annotated[tuple[Tag, ...], Meta(max_length=MAX_LISTED)] = ()
    """With all of these."""
    version: Annotated[str, Meta(max_length=256)] = ""
    """In this range, as `hub.discover` has it: `>=1.2,<2`."""
    percent: Percent = 100.0
    """So many of a hundred, chosen by a hash of `<service>.<instance>`: always the same ones, and of a higher
    percentage those of a lower one and more."""


class CanaryRules(Struct, frozen=True, kw_only=True):
    """What has a canary rolled back."""

    refused: bool = True
    """That one of those who try it refuses it."""
    critical: bool = True
    """That one of those who try it becomes critical."""


class CanaryPlan(Struct, frozen=True, kw_only=True):
    """How a change is to be tried before it is put for all."""

    target: CanaryTarget = CanaryTarget()
    bake: Bake = DEFAULT_BAKE
    """Seconds for which it is tried."""
    rules: CanaryRules = CanaryRules()


class CanaryState(Struct, frozen=True, kw_only=True):
    """A canary that is being tried."""

    id: str
    """The same in every scope that was changed in one step; these are promoted and rolled back together."""
    since: datetime
    target: CanaryTarget = CanaryTarget()
    bake: Bake = DEFAULT_BAKE
    """Seconds for which it is tried."""
    rules: CanaryRules = CanaryRules()
    author: str = ""
    reason: str = ""


class Canary(CanaryState, frozen=True, kw_only=True):
    """A canary as stored."""

    values: dict[str, Any]
    """What is put for those who try it, in place of what is put for the others: what it leaves out they do not have."""
