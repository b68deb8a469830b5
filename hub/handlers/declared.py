"""Which checks are declared, as registrations come, change and go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from hub.core.catalog import Catalog
from hub.core.entry import Entry
from hub.transport.loops import Beat, woken
from hub.wire.record import Record

_GATHER: Final = 0.05
"""Seconds that changes are gathered for, so that a service that changes a hundred times at once is read once."""
_BREATHE_EVERY: Final = 64


class Follower(Protocol):
    """Whoever makes checks."""

    def declared(self, entry: Entry) -> None:
        """An instance with checks was registered, or anew; or its state was stored, which changes nothing of them."""

    def undeclared(self, key: str) -> None:
        """It is gone, or has no checks any more."""


class DeclaredChecks:
    """Tells the followers of every instance that has checks.

    Args:
        catalog: What is registered.
        followers: Whom to tell.
    """

    def __init__(self, catalog: Catalog, followers: Sequence[Follower]) -> None:
        self._catalog = catalog
        self._followers = followers
        self._known: dict[str, dict[str, Record]] = {}
        self._changed: dict[str, None] = {}
        self._wake = asyncio.Event()

    def notice(self, service: str) -> None:
        """Something of this service has changed."""
        self._changed[service] = None
        self._wake.set()

    def look_at(self, key: str) -> None:
        """Tell of this instance now, if that is still to be done."""
        service = key.partition(".")[0]
        if service in self._changed and (entry := self._catalog.entries.get(key)) is not None:
            self._tell(service, entry)

    async def follow(self, beat: Beat) -> None:
        """Tell of what changes, for ever."""
        while True:
            await woken(self._wake, beat)
            await asyncio.sleep(_GATHER)
            self._wake.clear()
            while self._changed:
                beat()
                service = next(iter(self._changed))
                del self._changed[service]
                await self._compare(service)

    async def _compare(self, name: str) -> None:
        service = self._catalog.services.get(name)
        entries = service.entries if service is not None else {}
        told = 0
        for entry in list(entries.values()):
            told += self._tell(name, entry)
            if told >= _BREATHE_EVERY:
                told = 0
                await asyncio.sleep(0)
        for key in list(self._known.get(name, ())):
            if key not in self._catalog.entries:
                self._forget(name, key)

    def _tell(self, service: str, entry: Entry) -> bool:
        """Tell of an instance unless it is known as it is. Returns whether that was done."""
        known = self._known.get(service, {}).get(entry.key)
        if known is entry.record:
            return False
        if not entry.record.checks:
            if known is not None:
                self._forget(service, entry.key)
            return False
        if known is not None and known.registered_at != entry.record.registered_at:
            self._forget(service, entry.key)  # it was gone in between
        self._known.setdefault(service, {})[entry.key] = entry.record
        for follower in self._followers:
            follower.declared(entry)
        return True

    def _forget(self, service: str, key: str) -> None:
        known = self._known[service]
        del known[key]
        if not known:
            del self._known[service]
        for follower in self._followers:
            follower.undeclared(key)
