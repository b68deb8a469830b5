"""The buckets of all hubs together, in Redis: each hub adds what it has admitted, and is told how empty they are.

A bucket is one number, as in `hub.core.ratelimit`: the moment, by the clock of that Redis, at which it is full again.
The script moves it on by what was taken, as if that had begun when the hub says it did. Keys vanish by themselves once
their bucket is full, and all hash to one slot, as a script wants it of a cluster.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from hub.core.ratesharing import Use
from hub.errors import Unavailable, Unsupported
from hub.masking import hidden, mask, secrets_of, spellings
from hub.transport.tls import OLDEST

TIMEOUT: Final = 1.0
"""Seconds that one exchange may take."""
_PREFIX: Final = "{central-hub}:limit:"
_SECURE: Final = "rediss://"
_SYSTEM_ERROR: Final = re.compile(r"(?:Error |\[Errno )([0-9]{1,4})\b")
"""How the driver, and the language, tell of an error of the system by its number."""
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ahead = {}
for i, key in ipairs(KEYS) do
    local taken, age, longest = ARGV[3 * i - 2], ARGV[3 * i - 1], now + ARGV[3 * i]
    local due = tonumber(redis.call('GET', key) or 0) or 0
    if due ~= due then due = 0 end
    due = math.min(math.max(math.min(due, longest), now - age) + taken, longest)
    local left = math.max(1000, math.ceil((due - now) / 1000))
    redis.call('SET', key, string.format('%.0f', due), 'PX', left)
    ahead[i] = math.floor(due - now)
end
return ahead
"""
"""Times are in microseconds. For each key: in which time the taken tokens come back, how long ago the first of them was
taken, and how far ahead anything counts. A key lives for a second at least, since another hub may tell late of the same
time."""


class SharedLimits(Protocol):
    """Buckets that all hubs take from."""

    async def take(self, uses: Sequence[Use], now: float) -> list[float]:
        """Take what was admitted; returns the seconds until each of the buckets is full again, below 0 for long full.

        Raises:
            Unavailable: it did not do so within `TIMEOUT` seconds. Whether anything was taken is not known.
        """


class RedisLimits:
    """The buckets in a Redis. Nothing is connected before it is asked; a connection that broke is made anew.

    Args:
        url: Where it is, and how to log in. No password in it is ever shown.
        ca: The file of the CAs that its certificate may be from; None takes those that the machine trusts.

    Raises:
        Unsupported: its driver is not installed.
        Unavailable: the URL is none.
    """

    def __init__(self, url: str, *, ca: str | None = None) -> None:
        try:  # here, and not when asked: it takes a tenth of a second
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
            from redis.exceptions import RedisError
        except ImportError:
            raise Unsupported("Redis: its driver is not installed; install central-hub[databases]") from None

        tls: dict[str, Any] = {"ssl_ca_certs": ca, "ssl_check_hostname": True, "ssl_min_version": OLDEST}
        more = tls if url.lower().startswith(_SECURE) else {}
        try:
            self._redis: Any = Redis.from_url(
                url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=None, max_connections=2, **more
            )
        except (ValueError, TypeError):
            raise Unavailable("the URL of the cache is not one of Redis") from None
        self._script: Any = self._redis.register_script(_SCRIPT)
        self._errors = (RedisError, OSError)
        self._secrets = spellings(secrets_of(url))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Hang up."""
        await self._redis.connection_pool.disconnect()

    async def take(self, uses: Sequence[Use], now: float) -> list[float]:
        """See `SharedLimits`."""
        arguments: list[int] = []
        for use in uses:
            arguments += [_micro(use.seconds), _micro(now - use.began), _micro(use.limit.longest)]
        try:
            async with asyncio.timeout(TIMEOUT):
                ahead = await self._script(keys=[_PREFIX + use.key for use in uses], args=arguments)
        except TimeoutError:
            raise Unavailable(f"no answer within {TIMEOUT:g} s") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise Unavailable("the connection was given up") from None  # by the driver: nobody has cancelled us
        except self._errors as error:
            raise Unavailable(self._said(error)) from None
        return [float(each) / 1e6 for each in ahead]

    def _said(self, error: Exception) -> str:
        found = _SYSTEM_ERROR.match(str(error))
        if found is not None:
            return os.strerror(int(found[1])).lower()
        return mask(hidden(str(error) or type(error).__name__, self._secrets))


def _micro(seconds: float) -> int:
    return max(0, round(seconds * 1e6))
