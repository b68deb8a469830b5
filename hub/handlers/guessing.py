"""Failed logins counted, told, and answered the later the more there are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from hub.core.condition import Condition, warning
from hub.core.guessing import MANY, Guesses, host_place
from hub.errors import RateLimited, Unauthenticated
from hub.handlers.authenticator import Authenticator, Revoked
from hub.handlers.clock import Clock
from hub.handlers.sparing import Sparing
from hub.identity import apikeys
from hub.identity.proof import Presented, Proof, Verifier

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 64
"""Refusals that wait to be told, all in all: each holds a place among the logins that are looked at at once."""
MAX_WAITING_PER_HOST: Final = 4
NATS_WAITS: Final = 1.0
"""Seconds that an answer to a NATS server may be late: it waits for two, and then refuses by itself."""


class Slowed(Authenticator):
    """Tells who somebody is, and that it cannot the later, the more fail. A good login never waits.

    Args:
        verifiers: As of `Authenticator`.
        revoked: As of `Authenticator`.
        clock: Where to read the time.
        guesses: What is remembered of failures.
        known_key: Whether there is an API key of an id: only such are counted by themselves.

    Attributes:
        failures: Failed logins so far, by reason: what was presented and proved nothing (`key`, `token`, `nkey`,
            `certificate` or `nothing`), or `revoked`.
    """

    def __init__(
        self,
        verifiers: Sequence[Verifier],
        revoked: Callable[[Proof], bool],
        clock: Clock,
        guesses: Guesses,
        known_key: Callable[[str], bool],
    ) -> None:
        super().__init__(verifiers, revoked, clock)
        self._guesses = guesses
        self._known_key = known_key
        self._sparing = Sparing()
        self._waiting: Counter[str] = Counter()
        self.failures: Counter[str] = Counter(dict.fromkeys(("key", "token", "nkey", "certificate"), 0))
        self.failures.update({"nothing": 0, "revoked": 0})

    async def prove(self, presented: Presented) -> Proof:
        """Who presents this.

        Raises:
            Unauthenticated: it proves nothing; late, where there were many such from there.
            RateLimited: so, and as many wait for that answer as may.
            Unavailable: it cannot be told now.
        """
        try:
            return await super().prove(presented)
        except Unauthenticated as error:
            pause = self._count(presented, error)
            if pause:
                longest = NATS_WAITS if presented.via == "nats" else pause
                await self._wait(host_place(presented.host), min(pause, longest), pause)
            raise

    @property
    def waiting(self) -> int:
        """How many refusals wait to be told."""
        return self._waiting.total()

    @property
    def condition(self) -> Condition:
        """Whether many fail."""
        now = self._clock.now()
        recent = self._guesses.recent(now)
        if recent < MANY:
            return warning("")
        return warning(
            f"{recent} logins failed in the last minute, most of them from or for {self._guesses.worst(now)}: "
            "somebody guesses, or is set up wrong"
        )

    def _count(self, presented: Presented, error: Unauthenticated) -> float:
        kind = kind_of(presented)
        reason = "revoked" if isinstance(error, Revoked) else kind
        self.failures[reason] += 1
        places = [host_place(presented.host)]
        parts = apikeys.parse(presented.token or "")
        if parts is not None and self._known_key(parts[0]):
            places.append(apikeys.credential(parts[0]))
        pause = self._guesses.failed(tuple(places), self._clock.now())
        if (omitted := self._sparing.take()) is not None:
            log.warning(
                "login refused",
                via=presented.via,
                host=presented.host,
                presented=kind,
                reason=error.message,
                answered_after=pause,
                omitted_before=omitted,
            )
        return pause

    async def _wait(self, host: str, seconds: float, pause: float) -> None:
        if self._waiting[host] >= MAX_WAITING_PER_HOST or self.waiting >= MAX_WAITING:
            raise RateLimited("login: too many from there have failed", retry_after=pause)
        self._waiting[host] += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting[host] -= 1
            if not self._waiting[host]:
                del self._waiting[host]


def kind_of(presented: Presented) -> str:
    """What kind of credential was presented: `key`, `token`, `nkey`, `certificate` or `nothing`."""
    if presented.token is not None:
        return "key" if presented.token.startswith(apikeys.PREFIX) else "token"
    if presented.nkey is not None:
        return "nkey"
    return "certificate" if presented.certificate is not None else "nothing"
