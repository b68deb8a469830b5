"""Whether this hub hears at all: it listens for its own voice.

A connection can look alive for seconds while nothing comes through (a stopped server, a stalled network). Nobody's
silence means anything in that time, so the hub sends itself a message ten times a second and doubts itself when it does
not come back.
"""

from __future__ import annotations

import asyncio
from struct import Struct

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.core.liveness import Liveness
from hub.handlers.clock import Clock
from hub.transport.loops import Beat

log = structlog.get_logger(__name__)

INTERVAL = 0.1
DEAF_AFTER = 0.5
"""Seconds without its own echo after which a hub takes itself to be deaf."""
_stamp = Struct("d")
"""What the hub says to itself: the time at which it said so."""


class Hearing:
    """Tells the liveness rules when this hub could not hear.

    Attributes:
        round_trip: Seconds that the newest echo took; None before there was one.
    """

    def __init__(self, client: Client, liveness: Liveness, clock: Clock) -> None:
        self._client = client
        self._liveness = liveness
        self._clock = clock
        self._heard = clock.now()
        self._inbox = client.new_inbox()
        self._subscribed = False
        self.round_trip: float | None = None

    @property
    def silence(self) -> float:
        """Seconds since the newest echo."""
        return self._clock.now() - self._heard

    async def listen(self, beat: Beat) -> None:
        """Listen for the echo, for ever."""
        if not self._subscribed:
            await self._client.subscribe(self._inbox, cb=self._on_echo)
            self._subscribed = True
        self._heard = self._clock.now()
        while True:
            beat()
            now = self._clock.now()
            if not self._client.is_connected:
                self._liveness.deafened(now, "the connection to NATS is lost")
            elif now - self._heard > DEAF_AFTER:
                self._liveness.deafened(now, f"NATS has not echoed for more than {DEAF_AFTER:g} s")
            if self._client.is_connected:
                await self._speak()
            await asyncio.sleep(INTERVAL)

    async def _speak(self) -> None:
        try:
            await self._client.publish(self._inbox, _stamp.pack(self._clock.now()))
        except (nats.errors.Error, OSError) as error:
            log.debug("echo not sent", reason=str(error) or type(error).__name__)

    async def _on_echo(self, message: Msg) -> None:
        self._heard = self._clock.now()
        if len(message.data) == _stamp.size:
            self.round_trip = self._heard - _stamp.unpack(message.data)[0]
