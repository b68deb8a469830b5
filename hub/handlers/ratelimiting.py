"""Who asks too often is refused, at once and for as long as he does: the guard before every subject and route."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

import structlog

from hub.core.condition import Condition, warning
from hub.core.ratelimit import Limit, RateLimiter
from hub.errors import RateLimited
from hub.handlers.clock import Clock
from hub.handlers.gate import Asked
from hub.handlers.limitsharing import LimitSharing
from hub.settings.model import Ratelimits
from hub.telemetry.metrics import Metrics
from hub.wire import subjects
from hub.wire.classes import SUBJECT_CLASSES, SubjectClass, class_of

log = structlog.get_logger(__name__)

ADDRESS: Final = "address"
"""What stands in the place of a role where nobody proves who he is."""
_NAMED: Final = 100
"""Callers whose refusals are counted by their name until they are logged."""
_SHOWN: Final = 5
_SAID_AGAIN: Final = 0.02
"""Seconds for which a refusal is repeated in the same words, and so names a wait that is longer by that at the most."""
_OTHERS: Final = "others"
_IPV6_SITE: Final = 64
"""The bits of an IPv6 address that are given to one site, which has all the others to itself."""


class RateLimits:
    """The limits, and who has reached them.

    A service has one bucket of each class for all its instances together: whoever holds its login could have as many
    instances as he likes. Beats have one for each registered instance, and one for all others of a service. Where
    nobody is proven, callers over HTTP are told by their address, and those on NATS not at all.

    Args:
        settings: How often who may ask.
        clock: Where to read the time.
        metrics: Where to count.
        sharing: What shares the buckets with the other hubs; None where each counts for itself.
        proven: Whether callers prove who they are.
        registered: Whether there is an instance, by its `<service>.<instance>`.
        replicas: How many hubs there are.
    """

    def __init__(
        self,
        settings: Ratelimits,
        clock: Clock,
        metrics: Metrics,
        sharing: LimitSharing | None,
        *,
        proven: bool,
        registered: Callable[[str], bool],
        replicas: Callable[[], int],
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._sharing = sharing
        self._limiter = RateLimiter() if sharing is None else sharing.limiter
        self._proven = proven
        self._registered = registered
        self._replicas = replicas
        self._refusals: dict[tuple[str, SubjectClass], tuple[float, RateLimited]] = {}
        self._refused: Counter[tuple[str, SubjectClass]] = Counter()
        self.use(settings)
        if sharing is not None:
            sharing.on_change = self.refresh

    @property
    def shared(self) -> bool:
        """Whether the buckets are those of all hubs together right now."""
        return self._sharing is not None and self._sharing.shared

    @property
    def condition(self) -> Condition:
        """What operators should know: why the limits are not shared, where they should be, and what that means."""
        if self._sharing is None or not self._enabled or not self._sharing.lost:
            return warning("")
        meaning = "as much as it would alone" if self._settings.on_cache_loss == "open" else "its share alone"
        return warning(f"rate limits are not shared ({self._sharing.lost}): each hub lets through {meaning}")

    def use(self, settings: Ratelimits) -> None:
        """Limit by these from now on. What was asked before counts against them."""
        self._settings = settings
        self._enabled = self._proven if settings.enabled is None else settings.enabled
        self.refresh()

    def refresh(self) -> None:
        """Take note of whether the limits are shared, and by how many hubs."""
        if self._sharing is not None:
            self._sharing.wanted = self._enabled
        whole = {name: limit_of(self._settings, name) for name in SUBJECT_CLASSES}
        self._of_beats = whole["heartbeat"]
        if self._settings.on_cache_loss == "closed" and self._sharing is not None and not self._sharing.shared:
            holders = self._replicas()
            whole = {name: limit.shared_by(holders) for name, limit in whole.items()}
        self._limits = whole

    def admit(self, asked: Asked) -> None:
        """See `Guard`. Raises RateLimited."""
        if not self._enabled:
            return
        caller = asked.caller
        kind = class_of(asked.subject)
        whose = f"{caller.role}:{caller.name}"
        if kind == "heartbeat":  # by HTTP; what others beat on NATS is not counted with it
            key = asked.subject[len(subjects.HEARTBEAT_PREFIX) :]
            whose = f"{whose}/{key}" if self._registered(key) else whose
        self._take(whose, caller.role, kind)

    def admit_address(self, address: str, subject: str) -> None:
        """Let a request over HTTP through, where nobody is proven. Raises RateLimited."""
        if self._enabled and not self._proven:
            self._take(f"{ADDRESS}:{site_of(address)}", ADDRESS, class_of(subject))

    def admits_beat(self, key: str) -> bool:
        """Whether a beat on NATS is to be heard. Its subject says whose it is, since nobody else may publish there."""
        if not (self._enabled and self._proven):
            return True
        whose = key if self._registered(key) else key.partition(".")[0]
        if self._limiter.admit(f"beat:{whose}", self._of_beats, self._clock.now()) <= 0:
            return True  # every hub hears it, so that none has to tell the others
        self._count(f"service:{whose}", "service", "heartbeat")
        return False

    def tell(self) -> None:
        """Say who was refused since the last time, and how often."""
        if not self._refused:
            return
        most = {f"{whose} ({kind})": count for (whose, kind), count in self._refused.most_common(_SHOWN)}
        log.warning("requests refused as too many", refused=self._refused.total(), of=len(self._refused), most=most)
        self._refused.clear()

    def _take(self, whose: str, role: str, kind: SubjectClass) -> None:
        limit = self._limits[kind]
        wait = self._wait(f"{kind}:{whose}", limit)
        if wait <= 0:
            return
        self._count(whose, role, kind)
        raise self._refusal(whose, kind, limit, wait)

    def _refusal(self, whose: str, kind: SubjectClass, limit: Limit, wait: float) -> RateLimited:
        """The same one for a moment: in a flood, to put it into words would cost more than all the rest."""
        now = self._clock.now()
        until, error = self._refusals.get((whose, kind), (0.0, None))
        if error is not None and now < until:
            return error.with_traceback(None)
        error = RateLimited(
            f"{kind}: expected at most {limit.rate:g} requests a second from {whose}, and {limit.burst} at once, "
            f"got more; ask again in {wait:.2g} s",
            retry_after=wait,
        )
        self._refusals[whose, kind] = now + _SAID_AGAIN, error
        if len(self._refusals) > _NAMED:
            del self._refusals[next(iter(self._refusals))]
        return error

    def _wait(self, key: str, limit: Limit) -> float:
        now = self._clock.now()
        wait = self._limiter.admit(key, limit, now)
        if wait <= 0 and self._sharing is not None:
            self._sharing.took(key, limit, now)
        return wait

    def _count(self, whose: str, role: str, kind: SubjectClass) -> None:
        self._metrics.rate_limited[kind, role] += 1
        named = (whose, kind)
        self._refused[named if named in self._refused or len(self._refused) < _NAMED else (_OTHERS, kind)] += 1


def limit_of(settings: Ratelimits, kind: SubjectClass) -> Limit:
    """What the settings say of a class."""
    return Limit(getattr(settings, f"{kind}_rate"), getattr(settings, f"{kind}_burst"))


def site_of(address: str) -> str:
    """Whose an address is: its own, or of IPv6 that of its whole site, which could choose another for each request."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> _IPV6_SITE << _IPV6_SITE)}/{_IPV6_SITE}"
