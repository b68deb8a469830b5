"""The instances of one service as this client knows them: read in whole, then kept up by deltas.

Pure state: time is an argument, and nothing here waits. Revisions are the sequences of the registry's stream. A delta
names the revision before it of the same instance, so that a missed one shows; a reading says up to which revision it
is complete, and the deltas that came while it was under way are applied over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from hub.core.selection import TIERS, Selection, capabilities_of, matching
from hub.wire.discovery import Discover, Instance
from hub.wire.names import SUSPECT

TRUST = 6.0
"""Seconds that an instance is kept, as a suspect, after the registry was recreated without it: a ttl, in which it
registers again if it lives."""

MAX_WAITING_DELTAS = 10_000
MAX_SELECTIONS = 64


class Delta(NamedTuple):
    """A stored change of one instance; `instance` is None where it is gone."""

    instance_id: str
    revision: int
    previous: int
    instance: Instance | None


class Reading(NamedTuple):
    """All instances of a service, with everything stored up to `revision`."""

    revision: int
    instances: dict[str, tuple[int, Instance]]


@dataclass(slots=True, eq=False)
class Known:
    """One instance, the revision it is known at, and until when it is kept on trust (None: it is in the registry)."""

    instance: Instance
    revision: int
    capabilities: frozenset[str]
    trusted_until: float | None = None


class Replica:
    """What is known of one service.

    Args:
        observe: Called with the ids of the instances that changed, after each change.
    """

    def __init__(self, observe: Callable[[Iterable[str]], None] = lambda ids: None) -> None:
        self.revision = 0
        """The newest revision seen."""
        self._observe = observe
        self._known: dict[str, Known] = {}
        self._gone: dict[str, int] = {}
        self._floor = 0
        self._heard = 0
        self._waiting: list[Delta] | None = None
        self._orderly = True
        self._sorted: list[Known] | None = None
        self._selections: dict[Discover, Selection[Known]] = {}

    @property
    def on_trust(self) -> bool:
        """Whether instances are kept that the registry no longer knows."""
        return any(known.trusted_until is not None for known in self._known.values())

    def get(self, instance_id: str) -> Instance | None:
        """One instance."""
        known = self._known.get(instance_id)
        return known.instance if known else None

    def ids(self) -> list[str]:
        """The ids of all instances, whatever their status, sorted."""
        return [known.instance.instance_id for known in self.all()]

    def all(self) -> list[Known]:
        """All instances, whatever their status, by id."""
        if self._sorted is None:
            self._sorted = [self._known[instance_id] for instance_id in sorted(self._known)]
        return self._sorted

    def remembers(self, query: Discover) -> bool:
        """Whether `select` has answered this before, since the last change."""
        return query in self._selections

    def select(self, query: Discover) -> Selection[Known]:
        """Those that match, by id; remembered until something changes.

        Raises:
            InvalidRequest: the version range is none.
        """
        found = self._selections.get(query)
        if found is None:
            if len(self._selections) >= MAX_SELECTIONS:
                self._selections.clear()
            found = self._selections[query] = matching(self.all(), query)
        return found

    def apply(self, delta: Delta) -> bool:
        """Take in a change. Returns whether it followed on what is known; if not, the service must be read anew."""
        in_order = delta.revision > self._heard
        self._heard = delta.revision
        if self._waiting is not None:
            self._orderly = self._orderly and in_order and len(self._waiting) < MAX_WAITING_DELTAS
            if self._orderly:
                self._waiting.append(delta)
        elif not in_order:
            return False  # the stream was recreated: what is known may be anything
        known = self._known.get(delta.instance_id)
        before = max(known.revision if known else 0, self._gone.get(delta.instance_id, 0), self._floor)
        if delta.revision <= before:
            return True
        self._place(delta)
        return delta.previous <= before

    def begin(self) -> None:
        """A reading is under way: deltas from here on belong on top of it."""
        self._waiting = []
        self._orderly = True
        self._heard = 0

    def abandon(self) -> None:
        """The reading failed. What is known stays."""
        self._waiting = None

    def adopt(self, reading: Reading, now: float) -> bool:
        """Replace what is known by a reading, and what has changed since it began.

        Returns:
            Whether nothing is missing in between; if something is, the service must be read anew.
        """
        waiting, self._waiting = self._waiting or [], None
        before = {instance_id: known.instance for instance_id, known in self._known.items()}
        trusted = self._on_trust(reading, now)
        self._known = {i: _known(instance, revision) for i, (revision, instance) in reading.instances.items()} | trusted
        self._gone.clear()
        self._floor = self._heard = self.revision = reading.revision
        self._forget()
        complete = self._orderly
        for delta in waiting:
            if delta.revision > reading.revision:
                complete = self.apply(delta) and complete
        changed = [i for i in before.keys() | self._known.keys() if before.get(i) != self.get(i)]
        if changed:
            self._observe(changed)
        return complete

    def _place(self, delta: Delta) -> None:
        self.revision = delta.revision
        if delta.instance is None:
            self._known.pop(delta.instance_id, None)
            self._gone[delta.instance_id] = delta.revision
        else:
            self._known[delta.instance_id] = _known(delta.instance, delta.revision)
            self._gone.pop(delta.instance_id, None)
        self._forget()
        self._observe((delta.instance_id,))

    def _on_trust(self, reading: Reading, now: float) -> dict[str, Known]:
        """Who is missing from a recreated registry, and kept for now, lest everybody be gone until they return."""
        recreated = reading.revision < self._floor
        kept: dict[str, Known] = {}
        for instance_id, known in self._known.items():
            if instance_id in reading.instances:
                continue
            if recreated and known.trusted_until is None and known.instance.status in TIERS:
                suspect = msgspec.structs.replace(known.instance, status=SUSPECT)
                kept[instance_id] = Known(suspect, 0, known.capabilities, now + TRUST)
            elif known.trusted_until is not None and now < known.trusted_until:
                kept[instance_id] = known
        return kept

    def _forget(self) -> None:
        self._sorted = None
        self._selections.clear()


def _known(instance: Instance, revision: int) -> Known:
    return Known(instance, revision, capabilities_of(instance))
