"""Services that were found by the micro protocol, when they die, when hubs die, and when they mean harm."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.calls import call, connected, discover, ids, register
from tests.clients import eventually
from tests.faults.test_hostile import GARBAGE, resident
from tests.hubs import HubProcess
from tests.microservice import ByHand, MicroProcess
from tests.servers import NatsServer

QUICK = {"HUB_MICRO_INTERVAL": "0.5"}
_PING = '{"type":"io.nats.micro.v1.ping_response","name":"%s","id":"%s","version":"1.0.0","metadata":%s}'


@asynccontextmanager
async def a_hub(folder: Path, **variables: str) -> AsyncIterator[tuple[HubProcess, Client]]:
    """A hub that asks twice a second, unless told otherwise, and a connection to its NATS."""
    with HubProcess(folder / "hub", variables={**QUICK, **variables}) as hub:
        async with connected(hub.nats_url, max_reconnect_attempts=-1, reconnect_time_wait=1) as client:
            yield hub, client


async def until_found(client: Client, name: str, count: int, status: str = "passing", *, within: float = 30.0) -> None:
    """Return once so many instances of that status are found."""

    async def as_expected() -> bool:
        return len(await ids(client, name, status=status)) == count

    await eventually(as_expected, f"{count} of {name} are found {status}", within=within)


async def stays_passing(client: Client, name: str, seconds: float) -> None:
    """Ask again and again for so long: the one instance of the service is passing all the time.

    A question that was on its way to a hub just killed is lost, as NATS promises no more, and asked again.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            answer = await call(client, "hub.discover", {"name": name, "status": "any"}, timeout=1.0)
        except nats.errors.TimeoutError:
            continue
        instances = answer["instances"]
        assert [each["status"] for each in instances] == ["passing"]
        await asyncio.sleep(0.1)


async def test_one_that_is_killed_is_suspect_then_critical_then_gone_and_nobody_asks_it_to_register(
    tmp_path: Path,
) -> None:
    async with a_hub(tmp_path, HUB_MICRO_INTERVAL="1") as (hub, client):
        asked: list[str] = []

        async def on_ask(message: Msg) -> None:
            asked.append(message.subject)

        await client.subscribe("hub.reregister.>", cb=on_ask)
        with MicroProcess(hub.nats_url, "mortal") as service:
            await until_found(client, "mortal", 1)
            service.kill()
            seen: list[str] = []

            async def gone() -> bool:
                states = [each["status"] for each in (await discover(client, "mortal", status="any"))["instances"]]
                seen.extend(state for state in states if state not in seen[-1:])
                return not states

            await eventually(gone, "it is removed")
            assert seen == ["passing", "suspect", "critical"]
        assert asked == []


async def test_one_that_freezes_is_out_after_its_ttl_and_back_with_its_next_answer(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as (hub, client):
        with MicroProcess(hub.nats_url, "sleepy") as service:
            await until_found(client, "sleepy", 1)
            service.signal(signal.SIGSTOP)
            await until_found(client, "sleepy", 1, "critical")
            service.signal(signal.SIGCONT)
            await until_found(client, "sleepy", 1)


async def test_one_that_is_restarted_is_there_under_its_new_id_alone(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as (hub, client):
        with MicroProcess(hub.nats_url, "reborn") as before:
            await until_found(client, "reborn", 1)
        with MicroProcess(hub.nats_url, "reborn", "1.0.1") as after:
            assert after.id != before.id

            async def alone() -> bool:
                return await ids(client, "reborn", status="any") == [after.id]

            await eventually(alone, "the old one is gone")
            assert (await discover(client, "reborn"))["instances"][0]["version"] == "1.0.1"


async def test_a_restart_of_the_hub_or_of_nats_keeps_them(tmp_path: Path, nats_server: NatsServer) -> None:
    with (
        HubProcess(tmp_path / "hub", nats_url=nats_server.url, variables=QUICK) as hub,
        MicroProcess(nats_server.url, "kept") as service,
    ):
        async with connected(nats_server.url) as client:
            await until_found(client, "kept", 1)
            since = (await discover(client, "kept"))["instances"][0]["since"]
            hub.kill()
            await asyncio.sleep(3)  # twice its ttl
            hub.start()
            await stays_passing(client, "kept", 4)
            assert (await discover(client, "kept"))["instances"][0]["since"] == since
        nats_server.restart()
        async with connected(nats_server.url) as client:

            async def there() -> bool:
                async with httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http:
                    return (await http.get("/readyz")).status_code == 200

            await eventually(there, "the hub is back on NATS")
            await until_found(client, "kept", 1)
            assert await ids(client, "kept", status="any") == [service.id]


async def test_a_frozen_hub_takes_nobody_for_dead_when_it_wakes_up(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as (hub, client):
        with MicroProcess(hub.nats_url, "patient"):
            await until_found(client, "patient", 1)
            hub.interrupt(signal.SIGSTOP)
            await asyncio.sleep(4)
            hub.interrupt(signal.SIGCONT)
            await stays_passing(client, "patient", 4)


@pytest.mark.parametrize("lease", ["1", "60"], ids=["another leads soon", "nobody leads for long"])
async def test_the_death_of_the_leader_changes_nothing(tmp_path: Path, nats_server: NatsServer, lease: str) -> None:
    quick = {**QUICK, "HUB_LEADER_TTL": lease}
    with ExitStack() as stack:
        hubs = [
            stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=nats_server.url, variables=quick))
            for n in range(2)
        ]
        async with connected(nats_server.url) as client:
            stack.enter_context(MicroProcess(nats_server.url, "steady"))
            await until_found(client, "steady", 1)
            [leader] = [hub for hub in hubs if " leading " in hub.output()]
            leader.kill()
            await stays_passing(client, "steady", 6)  # four times its ttl
            if lease == "1":
                stack.enter_context(MicroProcess(nats_server.url, "newcomer"))
                await until_found(client, "newcomer", 1)


async def test_where_it_is_turned_off_nobody_is_asked_and_nobody_found(tmp_path: Path) -> None:
    async with a_hub(tmp_path, HUB_MICRO_ADOPT="false") as (_, client):
        async with ByHand(client, "unfound", "u1"):
            heard: list[str] = []

            async def on_ask(message: Msg) -> None:
                heard.append(message.reply)

            await client.subscribe("$SRV.PING", cb=on_ask)
            await asyncio.sleep(2)
            assert heard == []
            assert (await call(client, "hub.services"))["services"] == []
        assert (await call(client, "$SRV.PING"))["name"] == "central-hub"


async def test_a_hundred_thousand_bad_answers_do_no_harm(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as (hub, client), connected(hub.nats_url) as attacker:
        await register(client, "victim", "v1")
        bad: list[str | bytes] = [
            *GARBAGE,
            *(_PING % (name, "x1", "{}") for name in ("", "a.b", "*", ">", "hub", "db-x", "x" * 500)),
            *(_PING % ("evil", each, "{}") for each in ("", "a.b", "*", "x" * 500, "\\u0000")),
            *(_PING % ("evil", "x1", metadata) for metadata in ("[]", '{"a":1}', '{"a":{"b":{}}}', '"text"')),
            _PING % ("evil", "x1", json.dumps({"k": "v" * 100_000})),
            _PING % ("other-service", "v1", "{}"),  # the id of one that has registered itself
        ]
        payloads = [each if isinstance(each, bytes) else each.encode() for each in bad]
        rounds = 0

        async def on_ping(message: Msg) -> None:
            nonlocal rounds
            rounds += 1
            if rounds > 1:
                return
            for number in range(100_000):
                payload = payloads[number % len(payloads)] if number % 4 else (_PING % ("ghost", number, "{}")).encode()
                await attacker.publish(message.reply, payload)
                if not number % 2000:
                    await attacker.flush(30)

        before = resident(hub.pid)
        await attacker.subscribe("$SRV.PING", cb=on_ping)
        async with ByHand(client, "honest", "h1"):
            await until_found(client, "honest", 1)
            slowest = 0.0
            for _ in range(30):
                began = time.monotonic()
                assert await ids(client, "victim") == ["v1"]
                slowest = max(slowest, time.monotonic() - began)
                await asyncio.sleep(0.1)
            assert slowest < 3.0
            await stays_passing(client, "honest", 2)
        services = [row["name"] for row in (await call(client, "hub.services"))["services"]]
        assert services == ["honest", "victim"]
        assert resident(hub.pid) - before < 64 << 20
        text = (await client.request("hub.metrics", b"", timeout=10)).data.decode()
        for reason in ("malformed", "too_large", "name", "id"):
            assert f'hub_adoption_skipped_total{{reason="{reason}"}} 0.0' not in text, reason
        output = hub.output()
        assert "Traceback" not in output
        assert "connection lost" not in output
        assert output.count("not taken in") < 100


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        b"null",
        b"\xff",
        b"[" * 60_000,
        b'{"type":"io.nats.micro.v1.info_response","name":"someone","id":"else"}',
        b'{"type":"io.nats.micro.v1.info_response","name":"odd","id":"o1","endpoints":{}}',
        b'{"type":"io.nats.micro.v1.info_response","name":"odd","id":"o1","description":"' + b"x" * 500_000 + b'"}',
    ],
    ids=["silence", "nothing", "null", "no text", "depth", "another", "wrong type", "huge"],
)
async def test_a_bad_answer_about_itself_is_not_taken_and_stops_nobody_else(
    tmp_path: Path, answer: bytes | None
) -> None:
    async with a_hub(tmp_path) as (hub, client):
        async with ByHand(client, "odd", "o1") as odd, ByHand(client, "even", "e1"):
            odd.info = answer
            await until_found(client, "even", 1)

            async def asked() -> bool:
                return odd.asked > 0

            await eventually(asked, "it was asked about itself")
            await stays_passing(client, "even", 2)
            assert await ids(client, "odd", status="any") == []
            assert odd.asked < 10, "it is left alone for a while"
        assert "Traceback" not in hub.output()


async def test_one_with_more_to_say_than_fits_is_found_with_what_does(tmp_path: Path) -> None:
    endpoints = tuple({"name": f"e{n}", "subject": f"s.{n}"} for n in range(1000))
    async with a_hub(tmp_path) as (_, client), ByHand(client, "wordy", "w1") as service:
        service.says(description="x" * 10_000, endpoints=endpoints)
        await until_found(client, "wordy", 1)

        async def cut() -> bool:
            return "truncated" in (await discover(client, "wordy"))["instances"][0]["metadata"]

        await eventually(cut, "it says that there is more")
        told = (await discover(client, "wordy"))["instances"][0]["metadata"]
        assert (len(told["endpoints"]), len(told["description"])) == (64, 1024)


async def test_three_thousand_that_answer_at_once_are_all_found_and_all_followed(tmp_path: Path) -> None:
    async with a_hub(tmp_path, HUB_MICRO_INTERVAL="2") as (hub, client), connected(hub.nats_url) as crowd:
        members = [f"c{number:04}" for number in range(3000)]
        pings = [(_PING % ("crowd", each, "{}")).encode() for each in members]
        answering = len(pings)

        async def on_ping(message: Msg) -> None:
            for ping in pings[:answering]:
                await crowd.publish(message.reply, ping)

        async def on_info(message: Msg) -> None:
            each = message.subject.rpartition(".")[2]
            await crowd.publish(message.reply, (_PING % ("crowd", each, "{}")).replace("ping", "info").encode())

        await crowd.subscribe("$SRV.INFO.crowd.*", cb=on_info)
        await crowd.subscribe("$SRV.PING.crowd.*", cb=on_info)  # they are there, and will not say so
        await crowd.subscribe("$SRV.PING", cb=on_ping)

        async def row() -> dict[str, Any]:
            rows = [each for each in (await call(client, "hub.services"))["services"] if each["name"] == "crowd"]
            return rows[0] if rows else {}

        async def all_found() -> bool:
            return (await row()).get("passing") == 3000

        await eventually(all_found, "all are found", within=60)
        for _ in range(50):
            began = time.monotonic()
            assert (await row())["passing"] == 3000
            assert time.monotonic() - began < 3.0
            await asyncio.sleep(0.1)
        answering = 2990

        async def as_many_as_answer() -> bool:
            return bool((await row())["critical"] == 10)

        await eventually(as_many_as_answer, "who does not answer is critical, though somebody listens in its place")
        assert (await row())["passing"] == 2990
        assert "stood still" not in hub.output()
