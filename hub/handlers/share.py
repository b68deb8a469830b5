"""Which of the instances are this hub's to look at, and where the checks of each stand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Final, Protocol

import structlog

from hub.core.checks import Standing
from hub.core.entry import Entry
from hub.core.outage import MassFailure
from hub.core.registry import Registry
from hub.core.rendezvous import Rendezvous
from hub.core.schedule import Schedule
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.probes.outcome import Prober
from hub.wire.checks import CheckState, Probe, TtlCheck, name_of
from hub.wire.record import Record

log = structlog.get_logger(__name__)

_OF_LATE: Final = 60.0
"""Seconds for which a change is worth telling again: it may have been lost on its way."""
_BREATHE_EVERY: Final = 32


class Probers(Protocol):
    """Makes what looks."""

    def prober(self, check: Probe, *, host: str, port: int, protocol: str) -> Prober:
        """What makes this check of an instance at that address.

        Raises:
            HubError: this hub cannot make it.
        """


@dataclass(slots=True, eq=False)
class Look:
    """One check that this hub makes."""

    key: str
    check: Probe
    prober: Prober
    standing: Standing

    @property
    def name(self) -> str:
        """What the check is called."""
        return name_of(self.check)

    @property
    def id(self) -> str:
        """Tells it apart from all other checks of all instances."""
        return f"{self.key}/{self.name}"


@dataclass(slots=True, eq=False)
class Target:
    """One instance that has probes. `looks` is empty where another hub makes them."""

    record: Record
    looks: dict[str, Look] = field(default_factory=dict)
    changed: float = -inf

    @property
    def checks(self) -> tuple[Probe, ...]:
        """Its checks, save those that it reports on itself."""
        return tuple(check for check in self.record.checks if not isinstance(check, TtlCheck))

    @property
    def passes(self) -> bool:
        """Whether all its checks are known to pass."""
        return bool(self.looks) and all(look.standing.passes for look in self.looks.values())

    @property
    def fails(self) -> bool:
        """Whether the latest look at one of its checks failed."""
        return any(look.standing.failures for look in self.looks.values())

    def is_worth_telling(self, now: float) -> bool:
        """Whether it matters that everybody knows how it stands: it does not pass, or it has changed of late."""
        return now - self.changed < _OF_LATE or not self.passes

    def states(self) -> tuple[CheckState, ...]:
        """What is known of its checks."""
        states = (look.standing.state for look in self.looks.values())
        return tuple(state for state in states if state is not None)


class Share:
    """The instances that have probes, and of them those whose checks this hub makes, by rendezvous hashing.

    Args:
        registry: What is known of the instances.
        probers: Makes what looks.
        clock: Where to read the time.
        hub_id: This hub.

    Attributes:
        targets: All instances that have probes, by key.
        looks: The checks that this hub makes, by their ids.
        schedule: When each of them is made, by the same ids.
        outage: What speaks against believing that they fail.
        news: Set when there is something to be done that was not there before.
    """

    def __init__(self, registry: Registry, probers: Probers, clock: Clock, *, hub_id: str) -> None:
        self.targets: dict[str, Target] = {}
        self.looks: dict[str, Look] = {}
        self.schedule = Schedule(Random(), epoch=clock.wall().timestamp() - clock.now())
        self.outage = MassFailure()
        self.news = asyncio.Event()
        self._registry = registry
        self._probers = probers
        self._clock = clock
        self._hub_id = hub_id
        self._owners = Rendezvous()
        self._members: tuple[str, ...] = ()

    def declared(self, entry: Entry) -> None:
        """See `Follower`."""
        known, record = self.targets.get(entry.key), entry.record
        target = Target(record)
        if not target.checks:
            self.undeclared(entry.key)
        elif known is None or _address(known.record) != _address(record):
            self.undeclared(entry.key)
            self.targets[entry.key] = target
            if self._is_own(entry.key):
                self._take(entry.key, target, soon=known is not None)
        else:
            is_renewed, known.record = record.renewed != known.record.renewed, record
            if is_renewed:
                self._look_soon(known)

    def undeclared(self, key: str) -> None:
        """See `Follower`."""
        target = self.targets.pop(key, None)
        if target is not None:
            self._release(key, target)
            self._owners.forget(key)

    def among(self, members: tuple[str, ...]) -> None:
        """These replicas share the work from now on."""
        self._members = members
        self.news.set()

    def adopt(self, key: str, states: Iterable[CheckState]) -> None:
        """Another replica has found this of an instance that it may have taken for its own."""
        target = self.targets.get(key)
        for state in states:
            look = target.looks.get(state.name) if target else None
            if look is not None and look.standing.is_older_than(state):
                look.standing.adopt(state, self._clock.now())

    async def settle(self) -> None:
        """Take what is this hub's among the replicas that there are now, and leave what is not."""
        if self._members == self._owners.members:
            return
        self._owners.change(self._members)
        taken = left = 0
        for number, key in enumerate(list(self.targets), start=1):
            target = self.targets.get(key)
            if target is not None and bool(target.looks) != (own := self._is_own(key)):
                if own:
                    self._take(key, target)
                else:
                    self._release(key, target)
                taken, left = taken + own, left + (not own)
            if not number % _BREATHE_EVERY:
                await asyncio.sleep(0)
        log.info("work shared out", replicas=len(self._owners.members), taken=taken, left=left, checks=len(self.looks))

    def _is_own(self, key: str) -> bool:
        return self._owners.owner(key) == self._hub_id

    def _take(self, key: str, target: Target, *, soon: bool = False) -> None:
        """Make the checks of an instance, from where they stand; those of which nothing is known, `soon`."""
        record, now = target.record, self._clock.now()
        entry = self._registry.catalog.entries.get(key)
        for check in target.checks:
            try:
                prober = self._probers.prober(check, host=record.host, port=record.port, protocol=record.protocol)
            except HubError as error:
                log.warning("check cannot be made here", key=key, check=name_of(check), reason=error.message)
                continue
            look = Look(key, check, prober, Standing(check))
            state = entry.checks.get(look.name) if entry else None
            if state is not None:
                look.standing.adopt(state, now)
            target.looks[look.name] = self.looks[look.id] = look
            self.schedule.plan(look.id, check.interval, now, soon=soon or state is None)
        self.outage.note(key, passing=target.passes, failing=False)
        self.news.set()

    def _look_soon(self, target: Target) -> None:
        """It has failed and registered again: it may well be back."""
        for look in target.looks.values():
            self.schedule.plan(look.id, look.check.interval, self._clock.now(), soon=True)
        self.news.set()

    def _release(self, key: str, target: Target) -> None:
        for look in target.looks.values():
            self.schedule.drop(look.id)
            del self.looks[look.id]
        target.looks.clear()
        self.outage.forget(key)


def _address(record: Record) -> tuple[object, ...]:
    """What decides how an instance is looked at."""
    return record.checks, record.host, record.port, record.protocol
