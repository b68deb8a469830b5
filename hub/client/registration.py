"""Being registered, and staying so: registering, beating, and registering again whenever the hub has forgotten us."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import get_args

import msgspec
from nats.aio.msg import Msg

from hub.client.link import Hearing, Link
from hub.client.republished import is_republished
from hub.client.retry import ATTEMPT_TIMEOUT
from hub.client.tasks import Tasks, end
from hub.client.uses import Uses
from hub.errors import Forbidden, HubError, InvalidRequest, NotFound, Unauthenticated, Unavailable
from hub.wire import subjects
from hub.wire.checks import CheckReport, TtlCheck, name_of
from hub.wire.codec import encode
from hub.wire.configstatus import ConfigRefusal
from hub.wire.names import MAX_REASON, ReportedStatus
from hub.wire.registration import Deregister, Deregistered, Heartbeat, Register, Registered

log = logging.getLogger("hub.client")

WITHDRAW_TIMEOUT = 1.0
_SAID = 2
"""Beats that carry a report on a check, lest one that is lost make the check fail."""
_SPREAD = 0.2
"""Seconds over which those that are asked to register again do so, lest a forgetful hub be met by all at once."""
_NOTHING_TO_ADD = Heartbeat()

ConfigSaid = Callable[[], tuple[int | None, ConfigRefusal | None]]
"""The revision of its configuration that the service runs with, and the newer one that it has refused."""


def _not_configured() -> tuple[None, None]:
    return None, None


def _sendable(message: str) -> str:
    """A message as a beat can carry it: often it is an error's own words, and a beat that is refused is none."""
    return message.encode(errors="replace").decode()[:MAX_REASON]


class Registration:
    """Keeps one instance registered.

    Args:
        link: The connection.
        offer: What to register; its `instance_id` must be given.
        tasks: Owns the background task.
        used: The services discovered of late, which the hub is told.
        configured: What the service runs with, which the hub is told.
    """

    def __init__(
        self,
        link: Link,
        offer: Register,
        tasks: Tasks,
        used: Callable[[], tuple[str, ...]] = tuple,
        configured: ConfigSaid = _not_configured,
    ) -> None:
        self.registered: Registered | None = None
        """What the hub last said; None while not registered, as far as is known."""
        self._link = link
        self._offer = offer
        self._tasks = tasks
        self._key = subjects.instance_key(offer.name, offer.instance_id or "")
        self._subject = subjects.heartbeat(self._key)
        self._interval = 1.0
        self._beat = Heartbeat()
        self._ttl_checks = {name_of(check) for check in offer.checks if isinstance(check, TtlCheck)}
        self._said: dict[str, tuple[CheckReport, int]] = {}
        self._used = used
        self._configured = configured
        self._uses = Uses()
        self._asked = False
        self._not_before = 0.0
        self._told = ""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._hearings: list[Hearing] = []

    async def start(self, *, within: float) -> Registered:
        """Register, and keep registered from then on. Starting again updates what is registered.

        Raises:
            HubError: the hub refused, or (`Unavailable`, `DeadlineExceeded`) did not answer in time.
        """
        answer = await self._link.ask(subjects.REGISTER, self._offer, Registered, within=within)
        self._accept(answer)
        if self._task is None:
            self._hearings = [
                await self._link.subscribe(subjects.reregister(self._key), self._on_asked),
                await self._link.subscribe(subjects.REGISTRY_DELTA_PREFIX + self._key, self._on_stored),
            ]
            self._task = self._tasks.spawn(self._keep(), "keep-registered")
        return answer

    async def stop(self) -> None:
        """Beat no more, and leave the registration to itself."""
        self.registered = None
        if self._task is not None:
            await end(self._task)
            self._task = None
        for hearing in self._hearings:
            await self._link.unsubscribe(hearing)
        self._hearings.clear()

    async def withdraw(self, reason: str | None) -> None:
        """Beat no more and deregister. Where the hub does not answer within a second, it will find out by itself."""
        started = self._task is not None
        await self.stop()
        if not started or not self._link.connected:
            return
        leave = Deregister(name=self._offer.name, instance_id=self._offer.instance_id or "", reason=reason)
        try:
            await self._link.ask_once(subjects.DEREGISTER, leave, Deregistered, timeout=WITHDRAW_TIMEOUT)
        except NotFound:
            log.debug("%s: was not registered any more", self._key)
        except HubError as error:
            log.info("%s: not deregistered, it will expire (%s)", self._key, error.message)

    def report(
        self, status: ReportedStatus | None = None, message: str | None = None, load: float | None = None
    ) -> None:
        """Say with every beat from now on how the service is; a new status is said at once.

        Raises:
            InvalidRequest: no such status, or a negative load.
        """
        if status is not None and status not in get_args(ReportedStatus):
            raise InvalidRequest(f"status: expected one of {get_args(ReportedStatus)}, got {status!r}", field="status")
        if load is not None and not load >= 0:
            raise InvalidRequest(f"load: expected a number of at least 0, got {load!r}", field="load")
        now = self._beat
        self._beat = msgspec.structs.replace(
            now,
            status=now.status if status is None else status,
            message=now.message if status is None else message and _sendable(message),
            load=now.load if load is None else load,
        )
        if status is not None:
            self._wake.set()

    def report_check(self, name: str, status: ReportedStatus, message: str) -> None:
        """Say at once how a `ttl` check came out.

        Raises:
            InvalidRequest: no such status, or no such check.
        """
        if status not in get_args(ReportedStatus):
            raise InvalidRequest(f"status: expected one of {get_args(ReportedStatus)}, got {status!r}", field="status")
        if name not in self._ttl_checks:
            known = ", ".join(sorted(self._ttl_checks)) or "none was registered"
            raise InvalidRequest(f"name: expected a ttl check of this instance ({known}), got {name!r}", field="name")
        self._said[name] = CheckReport(status=status, message=_sendable(message)), _SAID
        self._wake.set()

    def beat_soon(self) -> None:
        """Beat now rather than in its turn: whoever listens may have missed us."""
        self._uses.repeat()
        self.beat_at_once()

    def beat_at_once(self) -> None:
        """Beat now rather than in its turn: there is something to say."""
        self._wake.set()

    async def say(self) -> None:
        """Beat now, ahead of the task that beats in turn: somebody waits for what is new in it."""
        if self._task is None or self._asked or not self._link.connected:
            self._wake.set()
        else:
            await self._send()

    def _accept(self, answer: Registered) -> None:
        self.registered = answer
        self._asked = False
        self._uses.repeat()
        self._interval = max(0.05, answer.heartbeat_interval)
        outcome = answer.config_schema
        if outcome is not None and outcome.reason:
            words = "accepted, but what is stored is not valid by it" if outcome.accepted else "not accepted"
            log.warning("%s: the schema of its configuration is %s (%s)", self._key, words, outcome.reason)
        if outcome is not None and not outcome.accepted and outcome.retryable:
            self._asked = True  # with the next beat

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval * random.uniform(0.85, 1.0)):
                    await self._wake.wait()
            self._wake.clear()
            if not self._link.connected:
                continue
            if self._asked and asyncio.get_running_loop().time() >= self._not_before:
                await self._register_again()
            await self._send()

    async def _send(self) -> None:
        with contextlib.suppress(Unavailable):  # the connection has just gone; its return will wake the beating
            await self._link.publish(self._subject, self._payload())

    async def _register_again(self) -> None:
        """One attempt; while it is still asked for, the next comes with the next beat."""
        await asyncio.sleep(random.uniform(0.0, _SPREAD))
        try:
            answer = await self._link.ask_once(subjects.REGISTER, self._offer, Registered, timeout=ATTEMPT_TIMEOUT)
        except HubError as error:
            self._not_before = asyncio.get_running_loop().time() + (error.retry_after or 0.0)
            rights = isinstance(error, Forbidden | Unauthenticated)  # which may be given meanwhile
            self._asked = error.retryable or rights  # else the hub asks again when it wants to hear it again
            if error.message != self._told:
                level = logging.WARNING if error.retryable else logging.ERROR
                log.log(level, "%s: not registered again (%s: %s)", self._key, error.code, error.message)
            self._told = error.message if rights else ""
        else:
            self._told = ""
            self._accept(answer)
            log.info("%s: registered again", self._key)

    def _payload(self) -> bytes:
        beat = self._beat
        if self._said:
            beat = msgspec.structs.replace(beat, checks={name: report for name, (report, _) in self._said.items()})
            self._said = {name: (report, left - 1) for name, (report, left) in self._said.items() if left > 1}
        if uses := self._uses.to_say(self._used(), asyncio.get_running_loop().time()):
            beat = msgspec.structs.replace(beat, uses=uses)
        running, refused = self._configured()
        if running is not None or refused is not None:
            beat = msgspec.structs.replace(beat, config_revision=running, config_refused=refused)
        return b"" if beat == _NOTHING_TO_ADD else encode(beat)

    async def _on_asked(self, message: Msg) -> None:
        self._lost()

    async def _on_stored(self, message: Msg) -> None:
        """Our own record has changed. If it is gone, somebody else took it away, or the hub had not heard us."""
        if not is_republished(message, subjects.REGISTRY_DELTA_PREFIX):
            return
        headers = message.headers or {}
        if "KV-Operation" in headers or "Nats-Marker-Reason" in headers:
            self._lost()

    def _lost(self) -> None:
        self._asked = True
        self.registered = None
        self._wake.set()
