"""The keys of an issuer: kept, read again, and never asked for more often than is said."""

from __future__ import annotations

import asyncio

import pytest

from hub.handlers.jwks import MOST_WAITING
from tests.unit.identity.issuing import QUICK, Issuing, kid, unavailable, unknown, watched
from tests.unit.identity.making import ISS, ed25519, jwks, rsa
from tests.waiting import end, until

pytestmark = pytest.mark.usefixtures("quick")


async def test_who_asks_before_the_keys_have_been_read_waits_for_them() -> None:
    async with watched(Issuing(ed25519()).keys()) as keys:
        assert await kid(keys, "ed") == "ed"
        assert keys.condition.well
        assert keys.age == 0


async def test_keys_that_are_known_cost_no_read() -> None:
    issuing = Issuing(ed25519())
    async with watched(issuing.keys()) as keys:
        for _ in range(100):
            await keys.find("EdDSA", "ed")
        assert issuing.asked == 1


async def test_a_new_key_is_found_by_one_read_for_all_who_wait_for_it() -> None:
    issuing = Issuing(ed25519())
    async with watched(issuing.keys()) as keys:
        await keys.find("EdDSA", "ed")
        issuing.published = jwks(ed25519(), ed25519("new"))
        issuing.now += 5
        issuing.answers.clear()
        waiting = [asyncio.create_task(kid(keys, "new")) for _ in range(100)]
        await until(lambda: issuing.asked == 2)
        waiting += [asyncio.create_task(kid(keys, "new")) for _ in range(100)]
        await asyncio.sleep(0)
        issuing.answers.set()
        assert await asyncio.gather(*waiting) == ["new"] * 200
        assert issuing.asked == 2


async def test_strangers_with_made_up_kids_cause_one_read_every_few_seconds() -> None:
    issuing = Issuing(ed25519())
    async with watched(issuing.keys()) as keys:
        await keys.find("EdDSA", "ed")
        for number in range(200):
            assert "kid: expected one of its keys for EdDSA, got one 'made-up-" in await unknown(
                keys, f"made-up-{number}"
            )
        assert issuing.asked == 1, "the keys have only just been read"
        for round_ in range(3):
            issuing.now += 5
            for number in range(50):
                await unknown(keys, f"made-up-{number}")
            assert issuing.asked == 2 + round_
        assert await kid(keys, "ed") == "ed"


async def test_one_who_gives_up_takes_nothing_from_those_who_wait_on() -> None:
    issuing = Issuing(ed25519())
    issuing.answers.clear()
    async with watched(issuing.keys()) as keys:
        impatient, patient = (asyncio.create_task(kid(keys, "ed")) for _ in range(2))
        await until(lambda: issuing.asked == 1)
        await end(impatient)
        issuing.answers.set()
        assert await patient == "ed"
        assert issuing.asked == 1


async def test_nobody_waits_long_for_an_issuer_that_does_not_answer_and_who_comes_again_finds_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hub.handlers.jwks.WAIT", QUICK)
    issuing = Issuing(ed25519())
    issuing.answers.clear()
    async with watched(issuing.keys()) as keys:
        assert "could not be read again within 0.01 s" in await unavailable(keys)
        issuing.answers.set()
        await until(lambda: keys.condition.well)
        assert await kid(keys, "ed") == "ed"
        assert issuing.asked == 1


async def test_no_more_wait_than_there_is_room_for() -> None:
    issuing = Issuing(ed25519())
    issuing.answers.clear()
    async with watched(issuing.keys()) as keys:
        waiting = [asyncio.create_task(kid(keys, "ed")) for _ in range(MOST_WAITING)]
        await until(lambda: issuing.asked == 1)
        assert "too many wait" in await unavailable(keys)
        issuing.answers.set()
        assert await asyncio.gather(*waiting) == ["ed"] * MOST_WAITING
        assert await kid(keys, "ed") == "ed"


async def test_a_read_that_is_cancelled_is_made_again_and_those_who_wait_are_told() -> None:
    issuing = Issuing(ed25519())
    issuing.answers.clear()
    keys = issuing.keys()
    async with watched(keys):
        waiting = asyncio.create_task(unavailable(keys))
        await until(lambda: issuing.asked == 1)
    assert "cannot be had now" in await waiting
    issuing.answers.set()
    async with watched(keys):
        await until(lambda: keys.condition.well)
    assert issuing.asked == 2


async def test_keys_are_read_again_before_they_get_old_and_what_is_gone_counts_no_more() -> None:
    issuing = Issuing(ed25519(), ed25519("old"))
    async with watched(issuing.keys()) as keys:
        assert await kid(keys, "old") == "old"
        issuing.published = jwks(ed25519())
        issuing.now += 300
        await until(lambda: issuing.asked == 2)
        await until(lambda: keys.age == 0)
        await unknown(keys, "old")


async def test_while_an_issuer_is_away_its_last_keys_go_on_for_a_day_and_operators_are_told() -> None:
    issuing = Issuing(ed25519())
    async with watched(issuing.keys()) as keys:
        await keys.find("EdDSA", "ed")
        issuing.outage = "connection refused"
        issuing.now += 300
        await until(lambda: issuing.asked == 2)
        assert keys.condition.well, "once is no outage"
        issuing.now += 15
        await until(lambda: issuing.asked == 3)
        assert keys.condition.status == "warning"
        assert keys.condition.reason == (
            f"issuer {ISS}: connection refused (the keys read before go on until 2027-01-16 08:00 UTC)"
        )
        assert keys.age == 315
        assert await kid(keys, "ed") == "ed"
        assert "cannot be had now" in await unavailable(keys, "new"), "nobody can tell"
        issuing.now = 1000 + 86_400
        assert await kid(keys, "ed") == "ed"
        issuing.now += 1
        await unavailable(keys)
        assert "too old, and accepted no more" in keys.condition.reason
        issuing.outage = ""
        issuing.now += 15
        await until(lambda: keys.condition.well)
        assert await kid(keys, "ed") == "ed"


async def test_an_issuer_that_was_never_reached_is_told_of_and_found_once_it_is_there() -> None:
    issuing = Issuing(ed25519())
    issuing.outage = "connection refused"
    keys = issuing.keys()
    await keys.start()
    assert issuing.asked == 0, "nothing waits for it at the start"
    async with watched(keys):
        assert "connection refused" not in await unavailable(keys), "strangers need not know"
        assert keys.condition.reason == f"issuer {ISS}: connection refused (its tokens are not accepted)"
        assert keys.age == float("inf")
        issuing.outage = ""
        issuing.now += 15
        assert await kid(keys, "ed") == "ed"
        assert keys.condition.well


async def test_an_issuer_that_publishes_nonsense_is_as_one_that_is_away() -> None:
    issuing = Issuing(ed25519())
    async with watched(issuing.keys()) as keys:
        await keys.find("EdDSA", "ed")
        issuing.published = b"<html>maintenance</html>"
        issuing.now += 300
        await until(lambda: issuing.asked == 2)
        issuing.now += 15
        await until(lambda: issuing.asked == 3)
        assert "expected a JWKS" in keys.condition.reason
        assert await kid(keys, "ed") == "ed"


async def test_a_weak_key_among_good_ones_is_refused_and_told_of() -> None:
    issuing = Issuing(ed25519())
    issuing.published = jwks(ed25519(), rsa("weak", bits=1024))
    async with watched(issuing.keys()) as keys:
        assert await kid(keys, "ed") == "ed"
        assert (
            "keys refused: keys[1] ('weak'): n: expected an RSA key of 2048..8192 bits, got 1024"
            in keys.condition.reason
        )
