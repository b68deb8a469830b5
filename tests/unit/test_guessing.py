"""Failed logins are counted by reason, told sparingly, and answered late; good ones are not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from hub.core.guessing import FREE, MANY, Guesses
from hub.errors import RateLimited, Unauthenticated, Unavailable
from hub.handlers.clock import Clock
from hub.handlers.guessing import MAX_WAITING_PER_HOST, Slowed
from hub.identity.proof import Presented, Proof
from hub.wire.names import PASSING, WARNING
from hub.wire.roles import Caller
from tests.waiting import end, until

ADA = Proof(caller=Caller(role="operator", name="ada"), credential="nkey:UA")
SECRET = "hk_a1B2c3D4e5_0123456789abcdefghijklmnopqrstuvwxyz-_ABCDE"


class Door:
    """A prover that knows one nkey, and time that stands still: what would wait is written down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, revoked: bool = False) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        clock = Clock(now=lambda: self.now)
        self.slowed = Slowed([self], lambda proof: revoked, clock, Guesses(), lambda key_id: key_id == "a1B2c3D4e5")

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        monkeypatch.setattr("hub.handlers.guessing.asyncio.sleep", sleep)

    async def verify(self, presented: Presented, now: float) -> Proof | None:
        if presented.nkey == "UA":
            return ADA
        if presented.token == "away":
            raise Unavailable("keys of the issuer: not there")
        return None

    async def try_(self, **given: Any) -> str:
        given.setdefault("host", "10.0.0.7")
        try:
            return str((await self.slowed.prove(Presented(**{"via": "http", **given}))).caller)
        except (Unauthenticated, RateLimited, Unavailable) as error:
            return error.code


async def test_failures_are_answered_late_and_good_logins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch)
    for _ in range(FREE + 3):
        assert await door.try_(token=SECRET) == "unauthenticated"
    assert door.slept == [1.0, 2.0, 4.0]
    assert await door.try_(nkey="UA") == "operator:ada", "behind one address there may be many"
    assert await door.try_(nkey="UA", host="10.0.0.8") == "operator:ada"
    assert door.slept == [1.0, 2.0, 4.0]
    assert await door.try_(nkey="UB", host="10.0.0.8") == "unauthenticated"
    assert door.slept == [1.0, 2.0, 4.0], "others may fail, too"
    assert await door.try_(token=SECRET, host="10.0.0.9") == "unauthenticated"
    assert door.slept == [1.0, 2.0, 4.0, 8.0], "but not for the key that is guessed at"


async def test_a_nats_server_is_not_kept_waiting_for_longer_than_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch)
    for _ in range(FREE + 5):
        assert await door.try_(via="nats", token=SECRET) == "unauthenticated"
    assert door.slept == [1.0] * 5


async def test_failures_are_counted_by_what_was_presented(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch)
    await door.try_(token=SECRET)
    await door.try_(token="eyJ.x.y")
    await door.try_(nkey="UB")
    await door.try_(certificate="PEM")
    await door.try_()
    assert await door.try_(token="away") == "unavailable"
    await door.try_(nkey="UA")
    await (revoked := Door(monkeypatch, revoked=True)).try_(nkey="UA")
    counted = {"key": 1, "token": 1, "nkey": 1, "certificate": 1, "nothing": 1, "revoked": 0}
    assert door.slowed.failures == counted, "what cannot be told now is no failure"
    assert revoked.slowed.failures["revoked"] == 1


async def test_a_failed_login_is_told_without_what_was_presented_and_a_flood_of_them_in_few_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = Door(monkeypatch)
    with capture_logs() as lines:
        for _ in range(200):
            await door.try_(token=SECRET)
    assert 1 <= len(lines) < 50
    assert lines[0]["event"] == "login refused"
    assert (lines[0]["host"], lines[0]["presented"]) == ("10.0.0.7", "key")
    assert SECRET[14:] not in repr(lines)


async def test_many_failures_are_told_in_the_health_with_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch)
    for number in range(MANY - 1):
        await door.try_(host=f"10.0.1.{number % 3}")
    assert door.slowed.condition.status == PASSING
    await door.try_(host="10.0.1.0")
    status, reason = door.slowed.condition
    assert status == WARNING
    assert reason.startswith(f"{MANY} logins failed in the last minute, most of them from or for 10.0.1.0")
    door.now += 61
    assert door.slowed.condition.status == PASSING


async def test_no_more_wait_for_their_refusal_than_may_and_who_leaves_makes_room() -> None:
    clock = Clock(now=lambda: 0.0)
    slowed = Slowed([], lambda proof: False, clock, Guesses(), lambda key_id: False)
    stranger = Presented(via="http", host="2001:db8::1")
    for _ in range(FREE):
        with pytest.raises(Unauthenticated):
            await slowed.prove(stranger)
    waiting = [asyncio.create_task(slowed.prove(stranger)) for _ in range(MAX_WAITING_PER_HOST)]
    try:
        await until(lambda: slowed.waiting == MAX_WAITING_PER_HOST)
        with pytest.raises(RateLimited) as caught:
            await slowed.prove(Presented(via="http", host="2001:db8::2"))
        assert caught.value.retry_after
        assert not any(task.done() for task in waiting)
    finally:
        await end(*waiting)
    assert slowed.waiting == 0
