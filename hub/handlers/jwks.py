"""The keys of the issuers of tokens: read when the hub starts, kept, and read again before they get old.

Who asks for a key waits for a fetch only where it is not among those that are known, and then with all others who wait;
strangers who make up names of keys cause one fetch every few seconds at most, whatever their number.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from random import uniform
from typing import Final

import structlog

from hub.core.condition import Condition, warning
from hub.errors import StartupError, Unauthenticated, Unavailable
from hub.handlers.clock import Clock
from hub.handlers.keysources import Source
from hub.identity.keyset import Key, KeySet
from hub.probes.look import Failed
from hub.settings.access import Algorithm
from hub.transport.loops import IDLE, Beat

log = structlog.get_logger(__name__)

UNKNOWN_EVERY: Final = 5.0
"""Seconds between two fetches for the sake of a key that is not known."""
LAST_FOR: Final = 86_400.0
"""Seconds for which the keys that were read last go on, while the issuer cannot be reached or its file is broken."""
MOST_WAITING: Final = 256
"""Those who may wait for one fetch."""
WAIT: Final = 2.0
"""Seconds that each of them waits at most; what is fetched is there for whoever comes again."""
_SHOWN: Final = 64


class IssuerKeys:
    """The keys of one issuer.

    Args:
        issuer: Its `iss`.
        source: Where they are.
        parse: What makes keys of what is there; raises ValueError where there are none in it.
        clock: Where to read the time.
        unknown_every: Seconds between two reads for the sake of a key that is not known.
        last_for: Seconds for which keys go on that cannot be read again.
    """

    def __init__(
        self,
        issuer: str,
        source: Source,
        parse: Callable[[bytes], KeySet],
        clock: Clock,
        *,
        unknown_every: float = UNKNOWN_EVERY,
        last_for: float = LAST_FOR,
    ) -> None:
        self.issuer = issuer
        self._source = source
        self._parse = parse
        self._clock = clock
        self._unknown_every = unknown_every
        self._last_for = last_for
        self._keys: KeySet | None = None
        self._read_at = float("-inf")
        self._ended_at = float("-inf")
        self._due = float("-inf")
        self._reading = False
        self._failures = 0
        self._trouble = ""
        self._wanted = asyncio.Event()
        self._turn = asyncio.Event()
        self._waiting = 0

    async def start(self) -> None:
        """Read those that are in a file for the first time. The network is left to `watch`: nothing waits for it.

        Raises:
            StartupError: the file is no good.
        """
        if not self._source.must_start:
            return
        await self._read()
        if self._keys is None:
            raise StartupError(f"issuer {self.issuer}: {self._trouble}")

    async def watch(self, beat: Beat) -> None:
        """Read them again when it is time, or somebody wants it; for ever."""
        while True:
            beat()
            left = self._due - self._clock.now()
            if left <= 0 or self._wanted.is_set():
                await self._read()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, IDLE)):
                    await self._wanted.wait()

    async def find(self, algorithm: Algorithm, kid: str | None) -> Key:
        """The key for a token that was signed so.

        Raises:
            Unauthenticated: it is none of the issuer's.
            Unavailable: its keys cannot be had.
        """
        key = self._known(algorithm, kid)
        if key is None and self._want():
            await self._read_by_watch()
            key = self._known(algorithm, kid)
        if key is not None:
            return key
        if self._failures or not self._in_force():
            raise Unavailable(f"the keys of {self.issuer} cannot be had now; the hub's log says why")
        named = "without a kid, of which it has none or several" if kid is None else f"{kid[:_SHOWN]!a}"
        raise Unauthenticated(f"token of {self.issuer}: kid: expected one of its keys for {algorithm}, got one {named}")

    @property
    def age(self) -> float:
        """Seconds since the keys were read, or found to be the same; endless where they never were."""
        return self._clock.now() - self._read_at

    @property
    def condition(self) -> Condition:
        """Whether keys can be had, and all of them are good."""
        if self._keys is None:
            return warning(f"issuer {self.issuer}: {self._trouble or 'not read yet'} (its tokens are not accepted)")
        if not self._in_force():
            return warning(f"issuer {self.issuer}: {self._trouble} (its keys are too old, and accepted no more)")
        if self._failures >= self._source.patience:
            until = self._clock.wall() + timedelta(seconds=self._read_at + self._last_for - self._clock.now())
            return warning(
                f"issuer {self.issuer}: {self._trouble} (the keys read before go on until {until:%Y-%m-%d %H:%M} UTC)"
            )
        refused = self._keys.refused
        return warning(f"issuer {self.issuer}: keys refused: {'; '.join(refused)}" if refused else "")

    # --- inside

    def _known(self, algorithm: Algorithm, kid: str | None) -> Key | None:
        return self._keys.find(algorithm, kid) if self._keys is not None and self._in_force() else None

    def _in_force(self) -> bool:
        return self.age <= self._last_for

    def _want(self) -> bool:
        """Have them read again, unless they just were; whether that is to be waited for."""
        if self._reading or self._wanted.is_set():
            return True
        if self._clock.now() - self._ended_at < self._unknown_every:
            return False
        self._wanted.set()
        return True

    async def _read_by_watch(self) -> None:
        if self._waiting >= MOST_WAITING:
            raise Unavailable(f"the keys of {self.issuer} are being read, and too many wait for them already")
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT):
                await self._turn.wait()
        except TimeoutError:
            raise Unavailable(f"the keys of {self.issuer} could not be read again within {WAIT:g} s") from None
        finally:
            self._waiting -= 1

    async def _read(self) -> None:
        """Read them once, and wake all who wait for that."""
        self._reading = True
        pause = 0.0  # where it is cancelled
        try:
            data = await self._source.read()
            if data is not None:
                self._take(self._parse(data))
                self._trouble = ""
            if self._trouble:  # as broken as it was
                raise Failed(self._trouble)
        except (Failed, ValueError) as error:
            self._failed(str(error))
            pause = self._source.retry
        else:
            self._read_at, self._failures = self._clock.now(), 0
            pause = self._source.every
        finally:
            self._ended(pause)

    def _take(self, keys: KeySet) -> None:
        if self._keys is None or [key.kid for key in keys.keys] != [key.kid for key in self._keys.keys]:
            log.info("keys of an issuer read", issuer=self.issuer, keys=[key.kid for key in keys.keys])
        for refused in keys.refused:
            if self._keys is None or refused not in self._keys.refused:
                log.warning("key of an issuer refused", issuer=self.issuer, reason=refused)
        self._keys = keys

    def _failed(self, why: str) -> None:
        if why != self._trouble:
            log.error("keys of an issuer cannot be read", issuer=self.issuer, reason=why)
        self._failures += 1
        self._trouble = why

    def _ended(self, pause: float) -> None:
        now = self._clock.now()
        self._reading = False
        self._wanted.clear()
        self._ended_at = now
        self._due = now + uniform(0.9, 1.0) * pause
        self._turn.set()
        self._turn = asyncio.Event()
