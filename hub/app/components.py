"""The parts of a hub that distribute components."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from hub.core.components import Bounds
from hub.core.condition import Condition, together
from hub.handlers.clock import Clock
from hub.handlers.componentfolder import ComponentFolder
from hub.handlers.componentgarbage import ComponentGarbage
from hub.handlers.components import Components
from hub.handlers.listeners import ComponentsListener
from hub.settings import Settings
from hub.store.events import EventLog
from hub.store.folder import Folder
from hub.store.lease import LeaderLease
from hub.store.ledger import JetStreamLedger
from hub.store.objects import ObjectStore
from hub.store.streams import BucketSpec
from hub.transport.loops import Keep
from hub.transport.requests import Requester


class ComponentParts:
    """What answers about components, what publishes a folder of them, and what takes out what nobody needs.

    Args:
        client: The connection.
        requester: An open requester on it.
        spec: The bucket of the versions.
        settings: How to run.
        events: Where to tell of new versions.
        lease: Only its holder publishes the folder, and takes anything out.
        clock: Where to read the time.
        max_bytes: The largest reply.
        keep: What runs the watch.
    """

    def __init__(
        self,
        client: Client,
        requester: Requester,
        spec: BucketSpec,
        settings: Settings,
        events: EventLog,
        lease: LeaderLease,
        clock: Clock,
        *,
        max_bytes: int,
        keep: Keep,
    ) -> None:
        given = settings.components
        bounds = Bounds(given.max_file_bytes, given.max_total_bytes, given.max_files)
        ledger = JetStreamLedger(client, requester, spec, keep=keep)
        objects = ObjectStore(client, requester)
        self.requests = Components(ledger, objects, events, clock, bounds=bounds, max_bytes=max_bytes)
        self.watch = ledger.watch(ComponentsListener(self.requests))
        self.folder = ComponentFolder(
            Folder(Path(given.folder), bounds),
            self.requests,
            objects,
            lease,
            watch=settings.platform.component_watch_enabled,
            settle=given.settle,
        )
        self.garbage = ComponentGarbage(self.requests, objects, lease, clock.now)

    @property
    def condition(self) -> Condition:
        """How the folder is, and whether the newest version is whole."""
        return together([self.folder.condition, self.garbage.condition])

    def plain(self) -> dict[str, Callable[[], float]]:
        """The metrics without a label, by their name in the catalogue."""

        def told(name: str) -> Callable[[], float]:
            return lambda: _number(self.requests.known.record, name)

        return {
            "hub_components_revision": lambda: self.requests.known.revision,
            "hub_components_files": told("files"),
            "hub_components_bytes": told("bytes"),
            "hub_components_refused": lambda: self.folder.refused,
        }


def _number(record: Any, name: str) -> float:
    return getattr(record, name) if record is not None else 0
