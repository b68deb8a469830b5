"""The guard: whose bucket a request is taken from, and what is said of those who are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import structlog
from msgspec import convert

from hub.core.ratesharing import Use
from hub.errors import RateLimited, Unavailable
from hub.handlers.clock import Clock
from hub.handlers.gate import Asked, Gate
from hub.handlers.limitsharing import LimitSharing
from hub.handlers.ratelimiting import RateLimits, limit_of, site_of
from hub.settings.model import Ratelimits
from hub.telemetry.metrics import Metrics
from hub.wire import subjects
from hub.wire.classes import SUBJECT_CLASSES
from hub.wire.roles import parse_caller

TIGHT = convert({f"{kind}_{name}": 1 for kind in SUBJECT_CLASSES for name in ("rate", "burst")}, Ratelimits)


class Time:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> Clock:
        return Clock(now=lambda: self.now)


def limits(
    settings: Ratelimits = TIGHT,
    *,
    proven: bool = True,
    sharing: LimitSharing | None = None,
    replicas: int = 1,
    time: Time | None = None,
) -> RateLimits:
    return RateLimits(
        settings,
        (time or Time()).clock(),
        Metrics(),
        sharing,
        proven=proven,
        registered=lambda key: key.startswith("engine.a"),
        replicas=lambda: replicas,
    )


def asks(guard: RateLimits, caller: str, subject: str = subjects.DISCOVER) -> bool:
    """Whether a request is let through."""
    try:
        Gate().after(guard).admit(Asked(parse_caller(caller), subject, b""))
    except RateLimited:
        return False
    return True


def test_a_service_has_one_bucket_whichever_of_its_instances_asks() -> None:
    guard = limits()
    assert asks(guard, "service:engine/a1")
    assert not asks(guard, "service:engine/a2")
    assert not asks(guard, "service:engine")
    assert asks(guard, "service:gateway")
    assert asks(guard, "operator:engine"), "who is called the same in another role is somebody else"


def test_what_is_asked_of_one_class_takes_nothing_from_another() -> None:
    guard = limits()
    assert [asks(guard, "operator:ada", subject) for subject in (subjects.DISCOVER, subjects.SERVICES)] == [True, False]
    others = subjects.REGISTER, subjects.CONFIG_PUT, subjects.SECRET_LIST, subjects.ADMIN_GET, "hub.unheard-of"
    assert [asks(guard, "operator:ada", subject) for subject in others] == [True, True, True, True, False]


def test_beats_have_a_bucket_for_each_registered_instance_and_one_for_all_others_of_a_service() -> None:
    guard = limits()
    assert guard.admits_beat("engine.a1")
    assert not guard.admits_beat("engine.a1")
    assert guard.admits_beat("engine.a2")
    assert guard.admits_beat("engine.b1")
    assert not guard.admits_beat("engine.b2"), "not registered, either"
    assert guard.admits_beat("gateway.b1")
    assert asks(guard, "service:engine", subjects.heartbeat("engine.a1")), "by HTTP it is another caller's"
    assert not asks(guard, "service:engine", subjects.heartbeat("engine.a1"))
    assert asks(guard, "service:engine", subjects.heartbeat("engine.a2"))
    made_up = [asks(guard, "service:engine", subjects.heartbeat(f"engine.made-up-{number}")) for number in range(9)]
    assert made_up == [True] + 8 * [False], "who makes up instances gets no bucket for each of them"


@pytest.mark.parametrize(
    ("enabled", "proven", "caller_is_limited", "address_is_limited"),
    [
        (None, True, True, False),
        (True, True, True, False),
        (False, True, False, False),
        (None, False, False, False),
        (True, False, True, True),
        (False, False, False, False),
    ],
)
def test_limits_are_on_where_callers_are_proven_and_elsewhere_when_they_are_turned_on(
    enabled: bool | None, proven: bool, caller_is_limited: bool, address_is_limited: bool
) -> None:
    guard = limits(Ratelimits(enabled=enabled, discover_rate=1, discover_burst=1), proven=proven)
    assert (asks(guard, "operator:ada"), asks(guard, "operator:ada")) == (True, not caller_is_limited)

    def reaches() -> bool:
        try:
            guard.admit_address("10.0.0.7", subjects.DISCOVER)
        except RateLimited:
            return False
        return True

    assert (reaches(), reaches()) == (True, not address_is_limited)
    if not proven:
        assert all(guard.admits_beat("engine.a1") for _ in range(100)), "anybody could use up another's beats"


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
    ],
)
def test_an_ipv6_site_is_one_caller_whichever_of_its_addresses_it_takes(address: str, site: str) -> None:
    assert site_of(address) == site


def test_every_class_has_its_limit_in_the_settings() -> None:
    for kind in SUBJECT_CLASSES:
        limit = limit_of(Ratelimits(), kind)
        assert limit.burst > limit.rate > 0


def test_who_was_refused_is_logged_together_and_no_more_names_than_are_good() -> None:
    guard = limits(Ratelimits(discover_rate=0.001, discover_burst=1))
    for number in range(300):
        for _ in range(2 if number else 50):
            asks(guard, f"service:caller-{number}")
    with structlog.testing.capture_logs() as lines:
        guard.tell()
        guard.tell()
    [line] = lines
    assert (line["refused"], line["of"]) == (49 + 299, 101)
    assert len(line["most"]) == 5
    assert line["most"]["service:caller-0 (discover)"] == 49
    assert line["most"]["others (discover)"] == 200
    assert b"caller-" not in guard._metrics.render()


class Elsewhere:
    """What all hubs take from, or not."""

    def __init__(self) -> None:
        self.away = False
        self.told: list[Use] = []

    async def take(self, uses: Sequence[Use], now: float) -> list[float]:
        if self.away:
            raise Unavailable("connection refused")
        self.told += uses
        return [use.seconds for use in uses]


async def exchange(sharing: LimitSharing, store: Any) -> None:
    await sharing._exchange(store, lambda: None)


async def test_a_hub_takes_its_share_of_the_limits_while_the_cache_is_away_if_they_must_hold() -> None:
    settings = Ratelimits(discover_rate=0.001, discover_burst=8, on_cache_loss="closed")
    store = Elsewhere()
    time = Time()
    sharing = LimitSharing(store, time.clock())
    guard = limits(settings, sharing=sharing, replicas=4, time=time)
    await exchange(sharing, store)
    assert (guard.shared, guard.condition.well) == (True, True)
    assert sum(asks(guard, "service:one") for _ in range(20)) == 8
    await exchange(sharing, store)
    assert [(use.key, use.tokens) for use in store.told] == [("discover:service:one", 8)]
    store.away = True
    time.now += 2
    await exchange(sharing, store)
    assert sum(asks(guard, "service:other") for _ in range(20)) == 2
    assert guard.condition.reason == (
        "rate limits are not shared (cache: connection refused): each hub lets through its share alone"
    )
    assert len(sharing._untold) == 1
    await exchange(sharing, store)
    assert not len(sharing._untold), "what was let through meanwhile is forgotten"
    store.away = False
    await exchange(sharing, store)
    assert guard.condition.well
    assert sum(asks(guard, "service:third") for _ in range(20)) == 8
    assert len(store.told) == 1


async def test_the_cache_is_nobodys_concern_while_nothing_is_limited() -> None:
    sharing = LimitSharing(None, Time().clock(), lost="Redis: its driver is not installed")
    assert limits(sharing=sharing).condition.reason.startswith("rate limits are not shared (Redis: its driver")
    guard = limits(Ratelimits(enabled=False), sharing=sharing)
    assert guard.condition.well
    assert not sharing.wanted
