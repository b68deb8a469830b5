"""Who is revoked, or whose time is up, loses the connections he has, and nobody else does: on a real NATS."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest

from hub.core.revocations import stored_as
from hub.wire.codec import encode
from hub.wire.keys import RevocationRecord
from tests.calls import call
from tests.letting import Letting, Visitor, letting, visiting, wall_in
from tests.waiting import until

pytestmark = [
    pytest.mark.xdist_group("kicking"),
    pytest.mark.filterwarnings(  # nats-py leaves the socket of who is turned away to the garbage collector
        "ignore:Exception ignored in. <(function StreamWriter|function _SelectorTransport|socket.socket)"
        ":pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Have what nats-py leaves of connections that were turned away collected here, where it is known."""
    yield
    gc.collect()


PROMPT = 5.0
"""Seconds in which a machine that is busy has done what takes a fraction of one."""


async def made(at: Letting, name: str, **more: Any) -> tuple[str, str]:
    """A fresh key for somebody from outside, and its id."""
    issued = await call(at.operator, "hub.key.create", {"name": name, **more})
    assert "key" in issued, issued
    for hub in at.hubs:
        await until(lambda hub=hub: hub._parts.admission.credentials.keys.get(issued["id"]) is not None)  # type: ignore[misc]
    return issued["key"], issued["id"]


async def seen_by_all(at: Letting) -> None:
    """Return when every hub has looked at all connections twice, as it does after each change."""
    await asyncio.sleep(0)
    for hub in at.hubs:
        looks = hub._parts.admission.kicking._looks
        await until(lambda looks=looks: looks.next() > time.monotonic() + 5)  # type: ignore[misc]


@contextlib.asynccontextmanager
async def everybody(at: Letting, *tokens: str) -> AsyncIterator[list[Visitor]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(visiting(at, token)) for token in tokens]


async def test_what_is_revoked_loses_its_connections_at_once_and_is_refused_when_it_comes_back(tmp_path: Path) -> None:
    async with letting(tmp_path, hubs=2) as at:
        leaked, leaked_id = await made(at, "partner")
        kept, _ = await made(at, "partner")
        other, _ = await made(at, "other")
        engine = [f"service:engine{instance} nkey:U{number}" for number, instance in enumerate(("/a1", "/a2", ""))]
        tokens = (leaked, leaked, kept, other, *engine, "service:engine-2 nkey:U9", "operator:ada jwt:id.example/a b")
        async with everybody(at, *tokens[:-1], "operator:ada jwt:id.example/a") as visitors:
            of_key, others = visitors[:2], visitors[2:]
            began = time.monotonic()
            reply = await call(at.operator, "hub.key.revoke", {"id": leaked_id, "reason": "found in a repository"})
            assert reply["credential"] == f"key:{leaked_id}"
            await until(lambda: all(visitor.losses for visitor in of_key))
            assert max(visitor.losses[0] for visitor in of_key) - began < PROMPT
            await until(lambda: len(at.refused) >= 4)
            assert all(why == f"key:{leaked_id} of external:partner: revoked" for why in at.refused)
            await seen_by_all(at)
            assert all(visitor.there for visitor in others), "the other key of the same caller, too"
            assert not any(visitor.returns for visitor in of_key)

            await call(at.operator, "hub.access.revoke", {"who": "service:engine"})
            of_engine, rest = others[2:5], [*others[:2], *others[5:]]
            await until(lambda: all(visitor.losses for visitor in of_engine))
            await seen_by_all(at)
            assert all(visitor.there for visitor in rest)
            assert not any(visitor.returns for visitor in of_engine)

            await call(at.operator, "hub.access.restore", {"who": "service:engine"})
            await call(at.operator, "hub.access.restore", {"credential": f"key:{leaked_id}"})
            await until(lambda: all(visitor.returns for visitor in (*of_engine, *of_key)))
            assert sum(hub._parts.admission.kicking.closed for hub in at.hubs) == 5
            metrics = at.hubs[0].scrape()[0].decode() + at.hubs[1].scrape()[0].decode()
            assert 'hub_login_failures_total{reason="revoked"}' in metrics
            assert 'hub_login_keys{state="valid"} 3.0' in metrics


async def test_a_key_that_was_rotated_lets_in_beside_the_new_one_until_the_overlap_ends(tmp_path: Path) -> None:
    async with letting(tmp_path, hubs=2) as at:
        old, old_id = await made(at, "partner")
        async with visiting(at, old) as with_old:
            issued = await call(at.operator, "hub.key.rotate", {"id": old_id, "overlap": 2})
            async with visiting(at, issued["key"]) as with_new, visiting(at, old) as with_old_again:
                assert with_old.there
                await until(lambda: with_old.losses and with_old_again.losses)
                assert with_old.losses[0] > time.monotonic() - PROMPT
                await until(lambda: any("expired" in why for why in at.refused))
                await seen_by_all(at)
                assert with_new.there
                assert not with_old.returns


async def test_a_connection_by_a_token_is_closed_when_that_expires_and_comes_back_with_a_fresh_one(
    tmp_path: Path,
) -> None:
    async with letting(tmp_path) as at:
        end = wall_in(1.5)
        short, lasting = f"service:engine/a1 jwt:id.example/1 {end}", "service:engine/a2 jwt:id.example/2"
        async with everybody(at, short, lasting, f"service:engine/a3 jwt:id.example/3 {end + 3600}") as visitors:
            assert all(visitor.there for visitor in visitors)
            await until(lambda: visitors[0].losses)
            assert wall_in(0) >= end, "not before its time"
            assert wall_in(0) < end + PROMPT
            assert visitors[1].there
            assert visitors[2].there


async def test_a_hub_that_starts_later_closes_what_others_let_in_and_was_revoked_meanwhile(tmp_path: Path) -> None:
    async with letting(tmp_path) as at, everybody(at, "operator:ada nkey:U1", "operator:bob nkey:U2") as (ada, bob):
        await seen_by_all(at)
        await at.stop()
        record = RevocationRecord(at=datetime.now(UTC), credential="nkey:U1")
        key = stored_as(who=None, credential="nkey:U1")
        await at.operator.jetstream().publish(f"$KV.hub-access.revoked.{key}", encode(record))
        assert ada.there
        await at.start()
        await until(lambda: ada.losses)
        await seen_by_all(at)
        assert bob.there


async def test_more_connections_than_fit_on_a_page_are_all_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.handlers.kicking._PAGE", 3)
    async with letting(tmp_path) as at:
        tokens = [f"service:engine/a{number} nkey:U{number}" for number in range(10)]
        async with everybody(at, *tokens) as visitors:
            await call(at.operator, "hub.access.revoke", {"credential": "nkey:U9"})
            await call(at.operator, "hub.access.revoke", {"credential": "nkey:U4"})
            await until(lambda: visitors[9].losses and visitors[4].losses)
            await seen_by_all(at)
            assert sum(visitor.there for visitor in visitors) == 8


async def test_what_was_revoked_while_the_system_account_could_not_be_reached_is_closed_afterwards(
    tmp_path: Path,
) -> None:
    tokens = "operator:ada nkey:U1", "operator:bob nkey:U2"
    async with letting(tmp_path, proxied=True) as at, everybody(at, *tokens) as (ada, bob):
        await seen_by_all(at)
        assert at.proxy is not None
        at.proxy.stall()
        await call(at.operator, "hub.access.revoke", {"who": "operator:ada"})
        with pytest.raises(nats.errors.Error):
            await nats.connect(at.server.url, token="operator:ada nkey:U3", allow_reconnect=False)
        assert ada.there, "nobody can close it, but the hub lets nobody in"
        at.proxy.resume()
        await until(lambda: ada.losses)
        await seen_by_all(at)
        assert bob.there
