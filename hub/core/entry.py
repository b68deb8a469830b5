"""One instance and one service as a hub knows them: what is stored, what is known beside it, and how that is shown."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from hub.core.health import Finding, heard_of
from hub.core.selection import MODES, Selection
from hub.wire.checks import CheckState
from hub.wire.codec import encode
from hub.wire.discovery import Discover, Instance
from hub.wire.names import CRITICAL, Status
from hub.wire.record import Desired, Heard, Record


@dataclass(slots=True, eq=False)
class Entry:
    """One instance: the stored record, what is known beside it, and how discovery shows it now.

    Attributes:
        heard: How it is by what was heard of it alone.
        checks: What is known of each of its checks, by name.
        check_states: The same, in the order in which they are declared.
        upstream: The services it depends on of which none can be chosen.
        desired: What operators want of it.
        finding: What all that comes to.
        falls: How often it has become critical since this hub knows it.
    """

    key: str
    record: Record
    revision: int
    instance: Instance
    capabilities: frozenset[str]
    heard: Heard
    relapses: int
    checks: Mapping[str, CheckState]
    check_states: tuple[CheckState, ...]
    upstream: tuple[str, ...]
    desired: Desired | None
    finding: Finding
    falls: int = 0
    _encoded: bytes | None = None

    def encoded(self) -> bytes:
        """The instance as JSON, encoded once per change."""
        if self._encoded is None:
            self._encoded = encode(self.instance)
        return self._encoded

    def show(self, instance: Instance) -> None:
        """Show the instance so from now on."""
        if instance.status == CRITICAL != self.instance.status:
            self.falls += 1
        self.instance = instance
        self._encoded = None


@dataclass(slots=True, eq=False)
class Service:
    """The instances of one service, and the answers already encoded for them."""

    name: str
    revision: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    selections: dict[Discover, Selection[Entry]] = field(default_factory=dict)
    answers: dict[Discover, bytes] = field(default_factory=dict)
    answers_size: int = 0
    """Bytes of all the answers."""
    choosable: int = 0
    """How many of the instances discovery may answer with by default."""
    found: int = 0
    """How many of the instances were found, and have not registered themselves."""
    was_down: bool = True
    """Whether there was none, when that was last looked at."""
    summary: bytes | None = None
    """The service's row in the list of services, once it has been asked for."""
    turn: int = 0

    def sorted(self, after: str = "") -> Iterator[Entry]:
        """The entries by instance id, beginning behind `after`."""
        for instance_id in self.order[bisect_right(self.order, after) if after else 0 :]:
            yield self.entries[instance_id]

    def forget_answers(self) -> None:
        """Something that an answer shows has changed."""
        self.selections.clear()
        self.answers.clear()
        self.answers_size = 0
        self.summary = None


def adopted(record: Record, known: Entry | None) -> tuple[Heard, int]:
    """What a stored record tells of what was heard, and the relapses."""
    if record.heard is None and record.status in MODES and known is not None and known.heard.status != CRITICAL:
        return known.heard, record.relapses  # it does not tell, save that behind the mode the instance is not dead
    return heard_of(record), record.relapses


def continued(shown: Instance, before: Instance, since: datetime | None = None) -> Instance:
    """An instance that goes on: it keeps its load, and the time since when it has its status, unless that is told."""
    if since is None:
        since = before.since if shown.status == before.status else shown.since
    return msgspec.structs.replace(shown, since=since, load=before.load)


def labels(entry: Entry) -> list[tuple[str, str]]:
    """What an instance can be found by beside its service's name."""
    return [("tag", tag) for tag in entry.instance.tags] + [("capability", item) for item in entry.capabilities]


def present(record: Record, status: Status, desired: Desired | None, since: datetime) -> Instance:
    """An instance as discovery shows it: what it said of itself, with what operators want laid over it.

    Args:
        record: What is stored of it.
        status: How it is, all things considered.
        desired: What operators want of its weight and metadata.
        since: Since when it is so.
    """
    host = f"[{record.host}]" if ":" in record.host else record.host
    return Instance(
        instance_id=record.instance_id,
        name=record.name,
        host=record.host,
        port=record.port,
        protocol=record.protocol,
        url=f"{record.protocol}://{host}:{record.port}",
        health_endpoint=record.health_endpoint,
        status=status,
        version=record.version,
        zone=record.zone,
        tags=record.tags,
        weight=record.weight if desired is None or desired.weight is None else desired.weight,
        load=None,
        metadata=record.metadata if desired is None else {**record.metadata, **desired.metadata},
        since=since,
        source=record.source,
        protect_threshold=record.protect_threshold or 0.0,
    )
