"""What refuses those who ask too often: made from the settings, shared through the cache where there is one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from hub.core.condition import Condition, together
from hub.errors import Unavailable, Unsupported
from hub.handlers.clock import Clock
from hub.handlers.limitsfile import LimitsFile
from hub.handlers.limitsharing import LimitSharing
from hub.handlers.ratelimiting import RateLimits
from hub.settings import DEFAULT_PATH, Settings
from hub.store.sharedlimits import RedisLimits
from hub.telemetry.metrics import Metrics
from hub.transport.loops import Loop


class LimitParts:
    """The rate limits of one hub.

    Args:
        settings: How often who may ask, where the cache is, and in which file that is said.
        clock: Where to read the time.
        metrics: Where to count.
        stack: Where whatever opens is entered.
        proven: Whether callers prove who they are.
        registered: Whether there is an instance, by its key.
        replicas: How many hubs there are.

    Attributes:
        limits: The guard.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        *,
        stack: contextlib.AsyncExitStack,
        proven: bool,
        registered: Callable[[str], bool],
        replicas: Callable[[], int],
    ) -> None:
        self._sharing = _sharing(settings, clock, stack)
        self.limits = RateLimits(
            settings.ratelimits,
            clock,
            metrics,
            self._sharing,
            proven=proven,
            registered=registered,
            replicas=replicas,
        )
        self._file = LimitsFile(
            Path(settings.file or DEFAULT_PATH), settings, self.limits, watch=settings.platform.hot_reload_enabled
        )

    @property
    def condition(self) -> Condition:
        """How they are: why they are not shared, and what in their file is broken."""
        return together((self.limits.condition, self._file.condition))

    def loops(self) -> Iterator[tuple[str, Loop]]:
        """What goes on by itself, with the name of each."""
        yield "rate-limits", self._file.run
        if self._sharing is not None:
            yield "rate-limits-shared", self._sharing.run


def _sharing(settings: Settings, clock: Clock, stack: contextlib.AsyncExitStack) -> LimitSharing | None:
    platform = settings.platform
    if platform.cache_url is None:
        return None
    try:
        store = RedisLimits(platform.cache_url, ca=platform.tls_ca)
    except (Unsupported, Unavailable) as error:
        return LimitSharing(None, clock, lost=error.message)
    stack.push_async_callback(store.aclose)
    return LimitSharing(store, clock)
