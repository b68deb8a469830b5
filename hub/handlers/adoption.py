"""`$SRV.PING` and `$SRV.INFO`, asked: services that speak only the micro protocol of NATS are taken into the registry.

All replicas hear the answers to a round of `$SRV.PING`, since they share the inbox that these go to; an answer counts
as a beat. The leader begins the rounds, and asks those that it does not know well enough about themselves, a few at a
time.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import get_args
from urllib.parse import urlsplit

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.core.adoption import REFRESH_ROUNDS, Intake, Pace, Skip, Unfit, key_of, registration
from hub.core.entry import Entry
from hub.core.registry import Registry
from hub.errors import Conflict, DeadlineExceeded, HubError, NotFound, PayloadTooLarge, Unavailable
from hub.handlers.clock import Clock
from hub.handlers.registration import Registration
from hub.handlers.sparing import Sparing
from hub.handlers.sweep import Term
from hub.telemetry.metrics import Metrics
from hub.transport.connection import describe
from hub.transport.direct import subscribe_direct
from hub.transport.loops import Beat, woken
from hub.transport.requests import Requester
from hub.wire import micro, subjects
from hub.wire.names import CRITICAL, SUSPECT
from hub.wire.registration import Deregister, Register

log = structlog.get_logger(__name__)

MAX_PING_BYTES = 16 * 1024
MAX_INFO_BYTES = 256 * 1024
_AT_ONCE = 32
"""Services that are asked about themselves at the same time."""
_TIMEOUT = 1.0
_PAUSE_AFTER_FAILURE = 0.5
_TICK = 0.1
_MAX_TOLD = 1000
"""Of whom the log remembers to have told already."""
_DEFAULT_PORT = 4222
_BAD_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Adoption:
    """Finds services by the micro protocol, keeps them registered while they answer, and follows what they say.

    Args:
        client: Where to ask.
        requester: For questions to one of them.
        registry: What is known already; told of every sign of life.
        registration: What puts them into the registry.
        clock: Where to read the time.
        metrics: Where to count.
        term: Whether this hub leads.
        nats_url: Where services that speak only NATS are reached.
        interval: Seconds between two rounds.
    """

    def __init__(
        self,
        client: Client,
        requester: Requester,
        registry: Registry,
        registration: Registration,
        clock: Clock,
        metrics: Metrics,
        term: Term,
        *,
        nats_url: str,
        interval: float,
    ) -> None:
        self._client = client
        self._requester = requester
        self._registry = registry
        self._registration = registration
        self._clock = clock
        self._metrics = metrics
        self._term = term
        address = urlsplit(nats_url)
        self._host, self._port = address.hostname or "", address.port or _DEFAULT_PORT
        self._interval = interval
        self._patience = min(_TIMEOUT, interval / 2)
        self._pace = Pace(interval, clock.now())
        self._intake = Intake(REFRESH_ROUNDS * interval)
        self._answered: set[str] = set()
        self._registering: set[str] = set()
        self._told: set[tuple[str, Skip]] = set()
        self._sparing = Sparing()
        self._wake = asyncio.Event()
        self._decode_ping = msgspec.json.Decoder(micro.PingAnswer).decode
        self._decode_info = msgspec.json.Decoder(micro.InfoAnswer).decode
        metrics.adoption_skips.update(dict.fromkeys(get_args(Skip), 0))

    async def start(self) -> None:
        """Begin to hear the answers, for as long as the connection is open."""
        await subscribe_direct(self._client, subjects.MICRO_ANSWERS, self._on_answer)

    async def ask_rounds(self, beat: Beat) -> None:
        """Ask who is alive whenever a round is due, for ever."""
        while True:
            beat()
            leading = self._term.held
            if self._client.is_connected and self._pace.is_due(self._clock.now(), leading=leading):
                await self._begin_round()
                if leading:
                    await asyncio.sleep(self._patience)
                    await self._question_silent()
            await asyncio.sleep(_TICK)

    async def take_in(self, beat: Beat) -> None:
        """Take in who is new, for ever."""
        while True:
            await woken(self._wake, beat)
            self._wake.clear()
            while self._term.held and (batch := self._intake.take(_AT_ONCE)):
                await asyncio.gather(*(self._take(key, answer) for key, answer in batch))
                beat()
            if not self._term.held:
                self._intake.clear()

    # --- who is alive

    async def _begin_round(self) -> None:
        services = self._registry.catalog.services.values()
        self._registering = {service.name for service in services if service.found < len(service.entries)}
        self._answered.clear()
        self._pace.begin(self._clock.now())
        try:
            await self._client.publish(subjects.MICRO_PREFIX + micro.PING, reply=subjects.MICRO_ANSWERS)
        except (nats.errors.Error, OSError) as error:
            log.debug("round not begun", reason=describe(error))

    async def _on_answer(self, message: Msg) -> None:
        try:
            answer = self._read(message.data)
        except Unfit as unfit:
            self._skip(unfit)
            return
        now = self._clock.now()
        if answer.name == micro.SERVICE_NAME:  # a replica of the hub: it has heard that round too
            self._pace.heard(now)
            return
        try:
            self._hear(key_of(answer), answer, now)
        except Unfit as unfit:
            self._skip(unfit, "" if unfit.reason == "overflow" else f"{answer.name}.{answer.id}")

    def _hear(self, key: str, answer: micro.PingAnswer, now: float) -> None:
        """It lives; and there may be something to ask it.

        Raises:
            Unfit: too many wait to be asked already.
        """
        entry = self._registry.catalog.entries.get(key)
        if entry is not None:
            if entry.record.source == "registration":
                return  # it says by its own means that it lives
            self._answered.add(key)
            self._registry.beat(key, now, self._clock.wall)
        if not self._term.held:
            return
        if self._intake.offer(key, answer, now, known=entry is not None and not self._is_spoken_for(entry)):
            self._wake.set()

    def _is_spoken_for(self, entry: Entry) -> bool:
        """Whether one that was found has come to register itself, be it under another id or another name."""
        record = entry.record
        return record.name in self._registering or bool(self._registry.claimants(record.name, record.instance_id))

    def _read(self, payload: bytes) -> micro.PingAnswer:
        if len(payload) > MAX_PING_BYTES:
            raise Unfit("too_large", f"its answer to PING is larger than {MAX_PING_BYTES} bytes")
        try:
            return self._decode_ping(payload)
        except _BAD_JSON as error:
            raise Unfit("malformed", f"its answer to PING is not what the protocol says: {error}") from None

    async def _question_silent(self) -> None:
        """Ask those who kept silent one by one: of whom nobody is left to listen, NATS says so at once."""
        silent = [
            entry.key
            for service in self._registry.catalog.services.values()
            if service.found
            for entry in service.entries.values()
            if entry.record.source == "micro"
            and entry.key not in self._answered
            and entry.heard.status not in (SUSPECT, CRITICAL)
        ]
        await asyncio.gather(*(self._question(key) for key in silent[:_AT_ONCE]))

    async def _question(self, key: str) -> None:
        entry = self._registry.catalog.entries.get(key)
        if entry is None:
            return
        name = entry.record.metadata.get("micro_name", entry.record.name)
        _, _, alone = subjects.micro(micro.PING, name, entry.record.instance_id)
        try:
            await self._requester.request(alone, timeout=self._patience)
        except Unavailable:
            if self._client.is_connected and key not in self._answered:
                self._registry.disconnected(key, self._clock.now(), self._clock.wall)
        except HubError as error:
            log.debug("silent service not heard", key=key, reason=error.message)

    # --- what they are

    async def _take(self, key: str, answer: micro.PingAnswer) -> None:
        adopted = False
        try:
            if (info := await self._ask_about_itself(answer)) is None:
                return  # it is just starting, or just gone: should it answer again, it is offered again
            request = registration(answer, info, host=self._host, port=self._port, interval=self._interval)
            adopted = await self._store(key, request)
        except Unfit as unfit:
            self._skip(unfit, key)
        except HubError as error:  # the store's; the next round offers it again
            if (omitted := self._sparing.take()) is not None:
                log.warning("service found, but not stored", key=key, reason=error.message, omitted_before=omitted)
            await asyncio.sleep(_PAUSE_AFTER_FAILURE)
            return
        self._intake.settle(key, answer, self._clock.now(), adopted=adopted)

    async def _ask_about_itself(self, answer: micro.PingAnswer) -> micro.InfoAnswer | None:
        """What one service says that it does; None where nobody listens."""
        _, _, alone = subjects.micro(micro.INFO, answer.name, answer.id)
        try:
            reply = await self._requester.request(alone, timeout=_TIMEOUT)
        except Unavailable:
            return None
        except DeadlineExceeded:
            raise Unfit("unanswered", f"it did not answer to INFO within {_TIMEOUT:g} s") from None
        if len(reply.data) > MAX_INFO_BYTES:
            raise Unfit("too_large", f"its answer to INFO is larger than {MAX_INFO_BYTES} bytes")
        try:
            return self._decode_info(reply.data)
        except _BAD_JSON as error:
            raise Unfit("malformed", f"its answer to INFO is not what the protocol says: {error}") from None

    async def _store(self, key: str, request: Register) -> bool:
        """Whether it is in the registry now, as what was found."""
        if request.name in self._registering:
            await self._withdraw(key)
            raise Unfit("registered", "instances of this service register themselves")
        try:
            record, _ = await self._registration.store(request, source="micro")
        except PayloadTooLarge as error:
            raise Unfit("too_large", error.message) from None
        except Conflict as error:
            await self._withdraw(key)
            raise Unfit("conflict", error.message) from None
        return record.source == "micro"

    async def _withdraw(self, key: str) -> None:
        """Take out one that was found, now that it is spoken for."""
        name, _, instance_id = key.partition(".")
        left = Deregister(name=name, instance_id=instance_id, reason="the service has registered itself")
        with contextlib.suppress(NotFound):
            await self._registration.remove(left, source="micro")

    def _skip(self, unfit: Unfit, who: str = "") -> None:
        """Count it; and tell it once of each, since whoever answers does so again every few seconds."""
        self._metrics.adoption_skips[unfit.reason] += 1
        if (who, unfit.reason) in self._told or (omitted := self._sparing.take()) is None:
            return
        if len(self._told) >= _MAX_TOLD:
            self._told.clear()
        self._told.add((who, unfit.reason))
        log.info("service found, but not taken in", service=who, reason=str(unfit), omitted_before=omitted)
