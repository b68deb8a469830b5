"""Configuration while hubs are killed, NATS restarts, and several write at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.calls import call, connected, insist, register
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("config-faults")

_PATIENT = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.1}


async def values(client: Client, service: str) -> Any:
    return (await insist(client, "hub.config.get", {"service": service}))["values"]


async def test_a_hub_killed_amid_changes_has_stored_each_of_them_whole_or_not_at_all(tmp_path: Path) -> None:
    services = [f"s{number}" for number in range(5)]
    chance = random.Random(7)
    with NatsServer(tmp_path / "nats") as server, HubProcess(tmp_path / "hub", nats_url=server.url) as hub:
        async with connected(server.url, **_PATIENT) as client:
            for round_ in range(6):
                stop = asyncio.Event()

                async def write(start: int, stop: asyncio.Event = stop) -> None:
                    for number in range(start, start + 100_000):
                        if stop.is_set():
                            return
                        changes = [{"service": service, "values": {"n": number}} for service in services]
                        with contextlib.suppress(nats.errors.Error, TimeoutError):
                            await call(client, "hub.config.put", {"changes": changes}, timeout=0.5)

                writing = asyncio.create_task(write(1 + round_ * 100_000))
                await asyncio.sleep(chance.uniform(0.05, 0.3))
                hub.kill()
                stop.set()
                await writing
                hub.start()
                stored = [await values(client, service) for service in services]
                assert stored[0]["n"] > round_ * 100_000
                assert stored == [stored[0]] * len(services)


async def test_writers_at_two_hubs_lose_nothing(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "a", nats_url=server.url),
        HubProcess(tmp_path / "b", nats_url=server.url),
    ):
        async with connected(server.url) as client:

            async def count(writer: int) -> None:
                for number in range(25):
                    change = {"service": "shared", "values": {f"w{writer}": number}}
                    done = await insist(client, "hub.config.patch", {"changes": [change]})
                    assert done["revision"] > 0, done

            await asyncio.gather(*map(count, range(4)))
            wanted = {f"w{writer}": 24 for writer in range(4)}
            history = await call(client, "hub.config.history", {"service": "shared"})
            revisions = [each["revision"] for each in history["revisions"]]
            assert len(revisions) == 64
            assert revisions == sorted(revisions, reverse=True)
            last = {"service": "shared", "values": wanted, "revision": revisions[0]}
            unchanged = await call(client, "hub.config.put", {"changes": [last], "dry_run": True})
            assert unchanged["scopes"][0]["differences"] == []


async def test_a_compare_and_set_over_what_the_other_hub_has_just_stored_succeeds(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "a", nats_url=server.url),
        HubProcess(tmp_path / "b", nats_url=server.url),
    ):
        async with connected(server.url) as client:
            revision = 0
            for number in range(60):  # each is answered by whichever hub NATS picks
                change = {"service": "handed-on", "values": {"n": number}, "revision": revision}
                done = await call(client, "hub.config.put", {"changes": [change]})
                assert "error" not in done, done
                revision = done["revision"]


async def test_what_the_other_hub_has_just_stored_can_be_told_apart_and_deleted(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "a", nats_url=server.url),
        HubProcess(tmp_path / "b", nats_url=server.url),
    ):
        async with connected(server.url) as client:
            for number in range(60):  # each is answered by whichever hub NATS picks
                service = f"brief-{number}"
                put = await call(client, "hub.config.put", {"changes": [{"service": service, "values": {"n": 1}}]})
                diff = await call(client, "hub.config.diff", {"service": service})
                assert diff.get("target") == put["revision"], diff
                deleted = await call(client, "hub.config.delete", {"service": service})
                assert deleted.get("revision", 0) > put["revision"], deleted


async def test_nats_restarted_amid_a_roll_out_loses_no_revision(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats") as server, HubProcess(tmp_path / "hub", nats_url=server.url):
        async with connected(server.url, **_PATIENT) as client:
            await register(client, "rolled", "r1")
            pushed: list[int] = []

            async def hear(message: Msg) -> None:
                pushed.append(json.loads(message.data)["values"]["n"])

            await client.subscribe("hub.delta.config.rolled", cb=hear)
            await client.flush()
            first = await insist(client, "hub.config.put", {"changes": [{"service": "rolled", "values": {"n": 1}}]})
            await until(lambda: pushed == [1])
            server.kill()
            server.start()
            done = await insist(client, "hub.config.put", {"changes": [{"service": "rolled", "values": {"n": 2}}]})
            assert done["revision"] > first["revision"]
            await until(lambda: pushed[-1] == 2, within=20)
            await client.publish("hub.heartbeat.rolled.r1", json.dumps({"config_revision": done["revision"]}).encode())
            await client.flush()
            status = await insist(client, "hub.config.status", {"service": "rolled"})
            assert (status["wanted"], status["counts"]) == (done["revision"], {"applied": 1})


async def test_a_bucket_made_anew_begins_again_and_takes_changes(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats") as server, HubProcess(tmp_path / "hub", nats_url=server.url):
        async with connected(server.url) as client:
            for number in range(3):
                await call(client, "hub.config.put", {"changes": [{"service": "lost", "values": {"n": number}}]})
            await client.jetstream().delete_stream("KV_hub-config")
            async with asyncio.timeout(30):
                while await values(client, "lost") != {}:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            done = await insist(client, "hub.config.put", {"changes": [{"service": "lost", "values": {"n": 9}}]})
            assert done["revision"] == 1
            assert await values(client, "lost") == {"n": 9}


async def test_a_hub_that_has_just_started_takes_no_part_of_a_service_for_all_of_it(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats") as server, HubProcess(tmp_path / "hub", nats_url=server.url) as hub:
        async with connected(server.url) as client:
            told: list[dict[str, Any]] = []

            async def hear(message: Msg) -> None:
                told.append(json.loads(message.data)["data"])

            await client.subscribe("hub.events.config.applied", cb=hear)
            for number in (1, 2):
                await register(client, "restarted", f"r{number}", port=number)
            done = await call(client, "hub.config.put", {"changes": [{"service": "restarted", "values": {"n": 1}}]})
            running = json.dumps({"config_revision": done["revision"]}).encode()
            await client.publish("hub.heartbeat.restarted.r1", json.dumps({"config_revision": 0}).encode())
            await client.publish("hub.heartbeat.restarted.r2", running)
            await client.flush()
            hub.kill()
            hub.start()
            await until(lambda: " leading " in hub.output().rpartition("hub started")[2], within=20)
            await client.publish("hub.heartbeat.restarted.r2", running)
            await client.flush()
            assert (await insist(client, "hub.config.status", {"service": "restarted"}))["counts"]["applied"] == 1
            await asyncio.sleep(3)  # several rounds: the other has not said anything to this hub yet
            assert told == []


async def test_a_roll_out_that_outlives_the_only_hub_is_told_once_all_registered_have_applied_it(
    tmp_path: Path,
) -> None:
    with NatsServer(tmp_path / "nats") as server, HubProcess(tmp_path / "hub", nats_url=server.url) as hub:
        async with connected(server.url, **_PATIENT) as client:
            told: list[dict[str, Any]] = []

            async def hear(message: Msg) -> None:
                told.append(json.loads(message.data)["data"])

            await client.subscribe("hub.events.config.applied", cb=hear)
            for number in (1, 2):
                await register(client, "outlived", f"o{number}", port=number)
            await register(client, "sharing", "s1")  # which has nothing but what all share
            await beat(client, "sharing.s1", 0)
            await beat(client, "outlived.o1", 0)
            await beat(client, "outlived.o2", 0)
            changes = [{"service": "outlived", "values": {"n": 1}}, {"service": "_all", "values": {"m": 1}}]
            done = await call(client, "hub.config.put", {"changes": changes})
            await beat(client, "outlived.o1", done["revision"])
            hub.kill()
            hub.start()
            await until(lambda: " leading " in hub.output().rpartition("hub started")[2], within=20)
            await beat(client, "outlived.o1", done["revision"])
            await asyncio.sleep(2.5)
            assert told == [], "the other has not said anything to this hub yet"
            await beat(client, "outlived.o2", done["revision"])
            await beat(client, "sharing.s1", done["revision"])
            await until(lambda: len(told) == 2, within=20)
            assert sorted((each["service"], each["revision"], each["instances"]) for each in told) == [
                ("outlived", done["revision"], 2),
                ("sharing", done["revision"], 1),
            ]
            hub.kill()
            hub.start()
            await until(lambda: " leading " in hub.output().rpartition("hub started")[2], within=20)
            for key in ("outlived.o1", "outlived.o2", "sharing.s1"):
                await beat(client, key, done["revision"])
            await asyncio.sleep(3.5)
            assert len(told) == 2, "what was told is not told again"
            put = await call(client, "hub.config.put", {"changes": [{"service": "outlived", "values": {"n": 2}}]})
            for key in ("outlived.o1", "outlived.o2"):
                await beat(client, key, put["revision"])
            await until(lambda: len(told) == 3, within=20)
            stream = await client.jetstream().stream_info("HUB_EVENTS", subjects_filter="hub.events.config.applied")
            assert stream.state.subjects == {"hub.events.config.applied": 3}


async def beat(client: Client, key: str, revision: int) -> None:
    """Beat as an instance that runs with a revision."""
    await client.publish(f"hub.heartbeat.{key}", json.dumps({"config_revision": revision}).encode())
    await client.flush()
