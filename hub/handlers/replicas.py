"""`hub.replica.<hub>`: this hub says that it is there, and hears the others say so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.core.liveness import Liveness
from hub.core.members import ANNOUNCE_EVERY, Members
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.handlers.sparing import Sparing
from hub.transport.direct import subscribe_direct
from hub.transport.loops import Beat
from hub.version import __version__
from hub.wire import subjects
from hub.wire.codec import Decoder, encode
from hub.wire.replica import Announcement

log = structlog.get_logger(__name__)

TICK: Final = 0.1
"""Seconds between two looks at who is there; somebody new is answered by then."""

Changed = Callable[[tuple[str, ...]], None]


class Replicas:
    """Knows the replicas of the hub.

    Args:
        client: Where to announce and to hear.
        liveness: Since when this hub hears well.
        clock: Where to read the time.
        hub_id: This hub.
        checks: How many checks this hub makes, to tell the others.
        changed: Called with all replicas, this one included, whenever they are others; with none when this one leaves.
    """

    def __init__(
        self,
        client: Client,
        liveness: Liveness,
        clock: Clock,
        *,
        hub_id: str,
        checks: Callable[[], int],
        changed: Changed,
    ) -> None:
        self._client = client
        self._liveness = liveness
        self._clock = clock
        self._hub_id = hub_id
        self._checks = checks
        self._changed = changed
        self._started = clock.wall()
        self._members = Members(hub_id, clock.now())
        self._told: tuple[str, ...] = ()
        self._announce_at = 0.0
        self._leaving = False
        self._sparing = Sparing()
        self._decode = Decoder(Announcement)

    @property
    def known(self) -> int:
        """How many replicas there are, this one included."""
        return self._members.known

    async def start(self) -> None:
        """Begin to hear the others, for as long as the connection is open."""
        await subscribe_direct(self._client, subjects.REPLICAS, self._on_announcement)

    async def announce(self, beat: Beat) -> None:
        """Say that this hub is there and notice who no longer is, for ever."""
        while True:
            beat()
            now = self._clock.now()
            for hub_id in self._members.tick(now, self._liveness.hearing_since(now)):
                log.info("replica is gone", replica=hub_id)
            if not self._leaving:
                self._tell_change()
                if now >= self._announce_at:
                    self._announce_at = now + ANNOUNCE_EVERY
                    await self._publish()
            await asyncio.sleep(TICK)

    async def leave(self) -> None:
        """Say farewell: the others take over at once."""
        self._leaving = True
        self._changed(())
        await self._publish()

    def _tell_change(self) -> None:
        present = self._members.present
        if present != self._told:
            self._told = present
            self._changed(present)

    async def _publish(self) -> None:
        own = Announcement(
            hub_id=self._hub_id,
            started=self._started,
            version=__version__,
            checks=self._checks(),
            leaving=self._leaving,
        )
        try:
            await self._client.publish(subjects.replica(self._hub_id), encode(own))
        except (nats.errors.Error, OSError) as error:
            log.debug("not announced", reason=str(error) or type(error).__name__)

    async def _on_announcement(self, message: Msg) -> None:
        try:
            told = self._decode(message.data)
        except HubError as error:
            if (omitted := self._sparing.take()) is not None:
                log.warning(
                    "announcement not understood", subject=message.subject, reason=error.message, omitted_before=omitted
                )
            return
        if told.leaving:
            if self._members.left(told.hub_id):
                log.info("replica has left", replica=told.hub_id)
        elif self._members.heard(told.hub_id, self._clock.now()):
            log.info("replica is there", replica=told.hub_id, version=told.version)
            self._announce_at = 0.0  # so that whoever has just started knows of us without waiting
