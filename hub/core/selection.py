"""Which instances answer a discovery: filters, the tiers of health, and the strategies that pick.

Used by the hub and by the SDK's cache alike, so that both give the same answer to the same question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Generic, NamedTuple, Protocol, TypeVar

from hub.core.versions import version_range
from hub.wire.discovery import Discover, Instance
from hub.wire.names import DRAINING, MAINTENANCE, PASSING, SUSPECT, WARNING, Status

TIERS = (PASSING, WARNING, SUSPECT)
"""What may be chosen, best first. Lower tiers answer only when those above are empty, and then as `degraded`."""

MODES = frozenset({DRAINING, MAINTENANCE})
"""The states that only operators bring about, and in which nobody is chosen."""


class Candidate(Protocol):
    """What selection looks at: an instance as discovery shows it."""

    @property
    def instance(self) -> Instance:
        """The instance as discovery shows it."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What it says it can do (`capabilities_of`)."""


C = TypeVar("C", bound=Candidate)


class Selection(NamedTuple, Generic[C]):
    """Who was selected, and whether only those not known to be well were left."""

    chosen: list[C]
    degraded: bool


def capabilities_of(instance: Instance) -> frozenset[str]:
    """The texts in `metadata.capabilities`; whatever else stands there counts as none."""
    listed = instance.metadata.get("capabilities")
    if not isinstance(listed, (list, tuple)):
        return frozenset()
    return frozenset(item for item in listed if isinstance(item, str))


def matching(candidates: Iterable[C], query: Discover) -> Selection[C]:
    """Those that match the query's filters, in the order given, from the best tier that has any.

    `zone` filters, except with the strategy `nearest`, which only prefers it.

    Raises:
        InvalidRequest: the version range is none.
    """
    if query.version:
        version_range(query.version)  # an absurd one is refused even where there is nobody to compare with it
    wanted = [c for c in candidates if _fits(c, query)] if _filters(query) else list(candidates)
    if query.status == "any":
        return Selection(wanted, False)
    if query.status != PASSING:
        return Selection([c for c in wanted if c.instance.status == query.status], False)
    if exposed := _exposed(wanted):
        return Selection(exposed, True)
    by_tier: dict[Status, list[C]] = {}
    for candidate in wanted:
        by_tier.setdefault(candidate.instance.status, []).append(candidate)
    for tier in TIERS:
        if tier in by_tier:
            return Selection(by_tier[tier], tier != PASSING)
    return Selection([], False)


def pick(candidates: Sequence[C], query: Discover, *, turn: int, random: Random) -> list[C]:
    """As many of `candidates` as the query wants, in the order in which its strategy prefers them.

    Args:
        candidates: Those that match, all equally well.
        query: Strategy, limit and zone.
        turn: How many round-robin picks came before this one.
        random: The source of chance.
    """
    if query.strategy == "all" or not candidates:
        return list(candidates)
    count = min(query.limit or 1, len(candidates))
    if query.strategy == "random":
        return random.sample(candidates, count)
    if query.strategy == "round_robin":
        return [candidates[(turn + i) % len(candidates)] for i in range(count)]
    if query.strategy == "weighted":
        return _weighted(candidates, count, random)
    if query.strategy == "least_loaded":
        return _least_loaded(candidates, count, random)
    near = [c for c in candidates if c.instance.zone == query.zone]
    far = [c for c in candidates if c.instance.zone != query.zone]
    return (random.sample(near, len(near)) + random.sample(far, len(far)))[:count]


def _exposed(wanted: Sequence[C]) -> list[C]:
    """All who may be tried, dead ones too, where so few are well that they would be overrun; else nobody.

    After the protect threshold of Nacos, save that here nobody is made out to be well. Whom operators have taken out
    stays out.
    """
    threshold = max((c.instance.protect_threshold for c in wanted), default=0.0)
    if not threshold:
        return []
    eligible = [c for c in wanted if c.instance.status not in MODES]
    well = sum(c.instance.status in (PASSING, WARNING) for c in eligible)
    return eligible if well < len(eligible) and well <= threshold * len(eligible) else []


def _filters(query: Discover) -> bool:
    zoned = query.zone is not None and query.strategy != "nearest"
    return bool(query.tags or query.capabilities or query.version or zoned)


def _fits(candidate: Candidate, query: Discover) -> bool:
    instance = candidate.instance
    return (
        all(tag in instance.tags for tag in query.tags)
        and candidate.capabilities.issuperset(query.capabilities)
        and (not query.version or instance.version in version_range(query.version))
        and (query.zone is None or query.strategy == "nearest" or instance.zone == query.zone)
    )


def _weighted(candidates: Sequence[C], count: int, random: Random) -> list[C]:
    """Weighted sampling without replacement (Efraimidis and Spirakis, 2006): the largest `u ** (1 / weight)` win.

    An instance of weight 0 is chosen only when no other is left.
    """
    keyed = [
        (random.random() ** (1.0 / c.instance.weight) if c.instance.weight else -random.random(), i)
        for i, c in enumerate(candidates)
    ]
    keyed.sort(reverse=True)
    return [candidates[i] for _, i in keyed[:count]]


def _least_loaded(candidates: Sequence[C], count: int, random: Random) -> list[C]:
    """By reported load, ties by chance. Who reports none counts as average, lest a newcomer get every request."""
    known = [c.instance.load for c in candidates if c.instance.load is not None]
    average = sum(known) / len(known) if known else 0.0

    def rank(candidate: C) -> tuple[float, float]:
        load = candidate.instance.load
        return (average if load is None else load, random.random())

    return sorted(candidates, key=rank)[:count]
