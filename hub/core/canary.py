"""Who tries a canary, and how it goes on: baked for longer, promoted, or rolled back. Pure: time is an argument."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from hub.core.versions import version_range
from hub.errors import InvalidRequest
from hub.wire.canary import Canary, CanaryRules, CanaryState, CanaryTarget
from hub.wire.config import ConfigRecord
from hub.wire.configstatus import ConfigRefusal
from hub.wire.record import Record
from hub.wire.registration import Register
from hub.wire.subjects import instance_key

GRACE: Final = 60.0
"""Seconds after the bake in which whoever has not said yet that it runs the canary may do so."""
LONELY: Final = 30.0
"""Seconds for which a canary may be without anybody who tries it: a restart of all of them takes as long."""
SETTLE: Final = 10.0
"""Seconds for which a hub that goes on where another was lost watches by itself."""
_SHOWN: Final = 5
"""Instances that a reason names."""


# --- who


class Traits(NamedTuple):
    """What a target is judged by: one instance, as it registers."""

    service: str
    instance_id: str
    version: str | None = None
    zone: str | None = None
    tags: Sequence[str] = ()

    @property
    def key(self) -> str:
        """`<service>.<instance>`."""
        return instance_key(self.service, self.instance_id)


def traits(given: Record | Register) -> Traits:
    """Those of an instance, by its record or its registration."""
    return Traits(given.name, given.instance_id or "", given.version, given.zone, given.tags)


def check(target: CanaryTarget) -> None:
    """Raises InvalidRequest where the version is no range."""
    if target.version:
        try:
            version_range(target.version)
        except InvalidRequest as error:
            raise InvalidRequest(f"canary: {error.message}", field="canary.target.version") from None


def tries(target: CanaryTarget, instance: Traits) -> bool:
    """Whether an instance is one of those who try what is aimed at `target`."""
    return (
        (not target.instances or instance.instance_id in target.instances)
        and (not target.zones or instance.zone in target.zones)
        and set(target.tags) <= set(instance.tags)
        and (not target.version or _is_within(target.version, instance.version))
        and (target.percent >= 100.0 or share(instance.service, instance.instance_id) < target.percent)
    )


def share(service: str, instance_id: str) -> float:
    """Where an instance stands among all that a service may have, evenly spread: 0 <= share < 100. Always the same.

    The first 64 bits of SHA-256 of `<service>.<instance>`, as a part of 2**64, times 100: any language can do that.
    """
    digest = hashlib.sha256(instance_key(service, instance_id).encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 * 100.0


def _is_within(versions: str, version: str | None) -> bool:
    try:
        return version is not None and version in version_range(versions)
    except InvalidRequest:
        return False  # no hub has stored that


# --- what they run with


def state(canary: Canary) -> CanaryState:
    """A canary without what it puts."""
    return CanaryState(**{name: getattr(canary, name) for name in CanaryState.__struct_fields__})


def promoted(record: ConfigRecord) -> ConfigRecord:
    """The record as it is for those who try its canary, and for all once that is promoted."""
    if record.canary is None:
        return record
    return msgspec.structs.replace(record, values=record.canary.values, canary=None)


def seen_by(record: ConfigRecord | None, instance: Traits | None) -> ConfigRecord | None:
    """The record as it is for one instance; for nobody in particular, as for those who do not try its canary."""
    if record is None or record.canary is None or instance is None or not tries(record.canary.target, instance):
        return record
    return promoted(record)


def compared(before: ConfigRecord | None, after: ConfigRecord) -> tuple[ConfigRecord | None, ConfigRecord]:
    """Two states of a scope as they are for those whom the change between them concerns.

    A canary that begins, or is taken back, concerns those who try it; all else concerns the others as well.
    """
    was = before.canary if before is not None else None
    if was is None and after.canary is not None:
        return before, promoted(after)
    if before is not None and was is not None and after.canary is None and after.values == before.values:
        return promoted(before), after
    return before, after


# --- how it goes on


class Tried(NamedTuple):
    """How one of those who try a canary stands."""

    instance_id: str
    runs: bool
    """Whether it has said that it runs with it."""
    refusal: ConfigRefusal | None = None
    """Its refusal of it."""
    is_critical: bool = False
    has_fallen: bool = False
    """Whether it became critical since it tries it."""


class Ruling(NamedTuple):
    """What is to become of a canary, and why."""

    step: Literal["bake", "promote", "roll back"]
    reason: str = ""


def counted(baked: float, bake: float) -> float:
    """How much of the time since a canary began counts for a hub that sees it for the first time, in seconds.

    Args:
        baked: The time since, by clocks that may have been set meanwhile: it may be negative.
        bake: How long it is to be tried.
    """
    return min(max(baked, 0.0), max(bake - SETTLE, 0.0))


def judge(canary: CanaryState, tried: Sequence[Tried], elapsed: float, lonely: float, idle: float = 0.0) -> Ruling:
    """What is to become of a canary.

    Args:
        canary: What was planned.
        tried: Those who try it, all that are registered.
        elapsed: Seconds for which it is being tried.
        lonely: Seconds for which nobody has tried it; 0 where somebody does.
        idle: Seconds, of those elapsed, in which nobody has run with it.
    """
    why = broken(canary.rules, tried)
    if why:
        return Ruling("roll back", why)
    if not tried:
        return Ruling("roll back", "no instance is left to try it") if lonely >= LONELY else Ruling("bake")
    if elapsed < canary.bake:
        return Ruling("bake")
    behind = [each.instance_id for each in tried if not (each.runs or each.is_critical or each.refusal)]
    running = sum(each.runs and not (each.is_critical and canary.rules.critical) for each in tried)
    if running and not behind:
        if elapsed - idle < canary.bake:
            return Ruling("bake")
        return Ruling("promote", f"{running} of {len(tried)} have run with it for {canary.bake:g} s")
    if elapsed < canary.bake + GRACE:
        return Ruling("bake")
    all_are = "all are critical" if all(each.is_critical for each in tried) else "all are critical or have refused it"
    return Ruling("roll back", f"after {elapsed:.0f} s it was not applied by {_names(behind) or f'anybody: {all_are}'}")


def broken(rules: CanaryRules, tried: Sequence[Tried]) -> str:
    """Which rule has been broken, and by whom; empty where none has."""
    refused = [each for each in tried if each.refusal is not None]
    if rules.refused and refused:
        first = refused[0].refusal
        assert first is not None
        return f"refused by {_names([each.instance_id for each in refused])}: {first.reason}"
    fallen = [each.instance_id for each in tried if each.has_fallen]
    if rules.critical and fallen:
        return f"{_names(fallen)} became critical"
    return ""


def _names(instances: Sequence[str]) -> str:
    more = f" and {len(instances) - _SHOWN} more" if len(instances) > _SHOWN else ""
    return ", ".join(instances[:_SHOWN]) + more
