"""The SDK's configuration while NATS, hubs, networks and services fail."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hub.client import InvalidConfig, Unavailable
from tests.calls import call, connected
from tests.clients import consumer, eventually, service
from tests.hubs import HubProcess, environment
from tests.integration.test_client_config import Settings, acknowledged, opened
from tests.proxy import Proxy
from tests.servers import NatsServer, free_port
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("client-config-faults")


@pytest.fixture(autouse=True)
def _no_readings_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for periodic in ("SETTLING", "PERIOD"):  # it is what happens that must prompt a reading
        monkeypatch.setattr(f"hub.client.rereading.{periodic}", 3600.0)


async def test_a_change_while_cut_off_is_applied_after_the_return(nats_server: NatsServer) -> None:
    async with opened(nats_server.url) as store:
        await store.put("some-consumer", {"n": 0})
        async with Proxy(nats_server.port) as network, consumer(network.url) as client:
            await client.config.load()
            network.stall()
            network.cut()
            await until(lambda: client.config.stale, "the loss is noticed")
            await store.put("some-consumer", {"n": 1})
            await store.put("_all", {"m": 1})
            network.resume()
            await until(lambda: client.config.current == {"n": 1, "m": 1} and not client.config.stale)


async def test_a_restart_of_nats_amid_changes_loses_none(nats_server: NatsServer) -> None:
    seen: list[int] = []
    async with opened(nats_server.url) as store, consumer(nats_server.url) as client:
        await store.put("some-consumer", {"n": 0})
        await client.config.load()
        client.config.on_change(lambda config: seen.append(config["n"]))
        for number in range(1, 4):
            revision = await store.put("some-consumer", {"n": number})
            nats_server.restart()
            await until(lambda: client.connected and store.client.is_connected)
            await until(lambda wanted=revision: client.config.revision == wanted)  # type: ignore[misc]
        await until(lambda: not client.config.stale)
        assert seen == [1, 2, 3]


async def test_a_bucket_made_anew_takes_nothing_away_and_is_followed_from_its_beginning(
    nats_server: NatsServer,
) -> None:
    async with opened(nats_server.url) as store, consumer(nats_server.url) as client:
        for number in range(3):
            await store.put("some-consumer", {"n": number})
        await client.config.load()
        assert client.config.revision == 3
        nats_server.kill()
        nats_server.wipe()
        nats_server.start()
        await until(lambda: client.config.revision == 0, "the loss is noticed")
        assert client.config.current == {"n": 2}
        async with opened(nats_server.url) as new:
            assert await new.put("some-consumer", {"n": 9}) == 1
            await until(lambda: client.config.current == {"n": 9})
            assert client.config.revision == 1
            await new.client.jetstream().delete_stream("KV_hub-config")
        async with opened(nats_server.url) as newest:
            assert await newest.put("some-consumer", {"n": 10}) == 1
            await until(lambda: client.config.current == {"n": 10}, "the same revision of another bucket is news")


async def test_a_service_starts_from_its_copy_where_the_bucket_was_lost(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with opened(nats_server.url) as store, consumer(nats_server.url, config_cache=tmp_path) as client:
        await store.put("some-consumer", {"n": 1})
        await client.config.load()
    nats_server.kill()
    nats_server.wipe()
    nats_server.start()
    async with consumer(nats_server.url, config_cache=tmp_path) as client:
        assert await client.config.load() == {"n": 1}
        assert (client.config.from_disk, client.config.revision) == (True, 0)
        async with opened(nats_server.url) as new:
            revision = await new.put("some-consumer", {"n": 2})
            await until(lambda: client.config.current == {"n": 2})
            assert (client.config.from_disk, client.config.revision) == (False, revision)


async def test_what_nests_too_deeply_changes_nothing(nats_server: NatsServer) -> None:
    async with opened(nats_server.url) as store, consumer(nats_server.url) as client:
        await store.put("some-consumer", {"n": 1})
        await client.config.load()
        for depth in (40, 900, 20_000):
            deep = b'{"scope":"x","kind":"put","at":"2026-01-01T00:00:00Z","values":{"n":%b}}'
            await store.ledger.put("some-consumer", deep % (b"[" * depth + b"]" * depth))
        await until(lambda: client.config.stale)
        assert client.config.current == {"n": 1}
        await store.put("some-consumer", {"n": 2})
        await until(lambda: client.config.current == {"n": 2} and not client.config.stale)


async def test_without_the_right_to_ask_for_it_a_bucket_made_anew_is_believed_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.client.configfeed.DOUBT", 0.5)
    rights = """
    authorization { users: [
      { user: hub, password: hub }
      { user: app, password: app, permissions: { publish: { deny: ["$JS.API.STREAM.>"] } } }
    ] }"""
    with NatsServer(tmp_path / "nats", config=rights) as server:
        address = server.url.removeprefix("nats://")
        async with opened(f"nats://hub:hub@{address}") as store, consumer(f"nats://app:app@{address}") as client:
            for number in range(3):
                await store.put("some-consumer", {"n": number})
            await client.config.load()
            await store.client.jetstream().delete_stream("KV_hub-config")
            async with opened(f"nats://hub:hub@{address}") as new:
                assert await new.put("some-consumer", {"n": 9}) == 1
                await until(lambda: client.config.current == {"n": 9})


@pytest.mark.parametrize("denied", ["$JS.>", "$JS.API.DIRECT.GET.KV_hub-config.>"])
async def test_without_the_right_to_read_the_bucket_the_configuration_comes_from_the_hub(
    tmp_path: Path, denied: str
) -> None:
    rights = f"""
    authorization {{ users: [
      {{ user: hub, password: hub }}
      {{ user: app, password: app, permissions: {{ publish: {{ deny: ["{denied}"] }} }} }}
    ] }}"""
    with NatsServer(tmp_path / "nats", config=rights) as server:
        address = server.url.removeprefix("nats://")
        ours, theirs = f"nats://hub:hub@{address}", f"nats://app:app@{address}"
        with HubProcess(tmp_path / "hub", nats_url=ours) as hub:
            async with connected(ours) as operator, service(theirs, "engine", "e1") as client:
                changes = [{"service": "engine", "values": {"n": 1}}, {"service": "_all", "values": {"m": 1}}]
                await call(operator, "hub.config.put", {"changes": changes})
                began = asyncio.get_running_loop().time()
                assert await client.config.load() == {"n": 1, "m": 1}
                assert asyncio.get_running_loop().time() - began < 1.5, "a refusal is not waited for as for silence"
                assert not client.config.stale
                for number in (2, 3):
                    change = {"service": "engine", "values": {"n": number}}
                    await call(operator, "hub.config.put", {"changes": [change]})
                    await until(lambda number=number: client.config.current["n"] == number)  # type: ignore[misc]
                hub.kill()
                hub.nats_url = ours  # it tells of its own without the login
                hub.start()
                await until(lambda: client.registered and not client.config.stale, "it is read again")
                await call(operator, "hub.config.patch", {"changes": [{"service": "_all", "values": {"m": 2}}]})
                await until(lambda: client.config.current == {"n": 3, "m": 2})
                wanted = client.config.revision

                async def applied() -> bool:
                    status = await call(operator, "hub.config.status", {"service": "engine"})
                    return bool(status["counts"] == {"applied": 1} and status["wanted"] == wanted)

                await eventually(applied, "it says what it runs with")
        assert server.log.read_text().count("Publish Violation") < 10, "the server is not asked again and again"


async def test_a_change_that_was_missed_without_the_right_to_read_the_bucket_is_had_from_the_hub(
    tmp_path: Path,
) -> None:
    rights = """
    authorization { users: [
      { user: hub, password: hub }
      { user: app, password: app, permissions: {
          publish: { deny: ["$JS.>"] }, subscribe: { deny: ["hub.delta.config.>"] } } }
    ] }"""
    with NatsServer(tmp_path / "nats", config=rights) as server:
        address = server.url.removeprefix("nats://")
        ours, theirs = f"nats://hub:hub@{address}", f"nats://app:app@{address}"
        with HubProcess(tmp_path / "hub", nats_url=ours):
            async with connected(ours) as operator, service(theirs, "engine", "e1") as client:
                assert await client.config.load() == {}
                await call(operator, "hub.config.put", {"changes": [{"service": "engine", "values": {"n": 1}}]})
                await until(lambda: client.config.current == {"n": 1}, "the hub reminds it", within=30)


async def test_without_jetstream_a_load_fails_clearly(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", jetstream=False) as server:
        async with consumer(server.url, timeout=0.5) as client:
            with pytest.raises(Unavailable, match="some-consumer: the configuration could not be read"):
                await client.config.load()
            assert client.config.current is None


async def test_with_everything_down_a_service_starts_from_the_copy_and_catches_up(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    folder = tmp_path / "copies"
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url) as hub:
        async with opened(nats_server.url) as store:
            await store.put("robust", {"n": 1})
            await store.put("_all", {"m": 1})
            async with service(nats_server.url, "robust", "a", config_cache=folder) as client:
                await client.config.load()
            await store.put("robust", {"n": 2})
        hub.kill()
        nats_server.kill()
        tasks = asyncio.all_tasks()
        seen: list[Any] = []
        began = asyncio.get_running_loop().time()
        async with service(nats_server.url, "robust", "a", config_cache=folder, start_timeout=0.5) as client:
            client.config.on_change(seen.append)
            assert await client.config.load() == {"n": 1, "m": 1}
            assert asyncio.get_running_loop().time() - began < 10
            assert (client.config.from_disk, client.config.stale, client.config.revision) == (True, True, 2)
            assert client.config.origin("/m") == "all"
            assert not client.connected
            assert not client.registered
            nats_server.start()
            await until(lambda: client.config.current == {"n": 2, "m": 1}, "what is stored is applied")
            assert not client.config.from_disk
            assert seen == [{"n": 2, "m": 1}]
            async with opened(nats_server.url) as store:
                hub.start()
                await until(lambda: client.registered, "it registers once there is a hub")
                await until(lambda: acknowledged(store, 3), "and says what it runs with")
        await until(lambda: asyncio.all_tasks() == tasks, "all tasks have ended")


async def test_with_the_hub_down_a_service_that_has_a_copy_starts_with_what_nats_has(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with opened(nats_server.url) as store:
        await store.put("hubless", {"n": 1})
        async with consumer(nats_server.url) as other:
            assert other.name != "hubless"
        given: dict[str, Any] = {"config_cache": tmp_path, "start_timeout": 0.5}
        with pytest.raises(Unavailable):  # nothing was kept yet: as ever
            async with service(nats_server.url, "hubless", "a", **given):
                pass
        mine = service(nats_server.url, "hubless", "a", **given)
        await mine.connect()
        await mine.config.load()
        await mine.close()
        await store.put("hubless", {"n": 2})
        async with service(nats_server.url, "hubless", "a", **given) as mine:
            assert await mine.config.load() == {"n": 2}
            assert (mine.config.from_disk, mine.config.stale) == (False, False)
            assert not mine.registered
            await mine.deregister()


async def test_a_copy_that_is_still_the_newest_is_confirmed(nats_server: NatsServer, tmp_path: Path) -> None:
    async with opened(nats_server.url) as store:
        revision = await store.put("some-consumer", {"n": 1})
        async with consumer(nats_server.url, config_cache=tmp_path) as client:
            await client.config.load()
    nats_server.kill()
    async with consumer(nats_server.url, config_cache=tmp_path, start_timeout=0.3) as client:
        before = await client.config.load()
        assert client.config.from_disk
        nats_server.start()
        await until(lambda: not client.config.from_disk)
        assert client.config.current is before
        assert client.config.revision == revision


async def test_without_an_answer_a_load_comes_from_the_copy_within_its_time(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with opened(nats_server.url) as store:
        await store.put("some-consumer", {"n": 1})
        async with consumer(nats_server.url, config_cache=tmp_path) as client:
            await client.config.load()
        async with Proxy(nats_server.port) as network:
            async with consumer(network.url, config_cache=tmp_path, timeout=0.5) as client:
                network.stall()
                async with asyncio.timeout(10):
                    assert await client.config.load() == {"n": 1}
                assert client.config.from_disk
                network.resume()
                await until(lambda: not client.config.from_disk)
            async with consumer(network.url, timeout=0.5) as client:
                network.stall()
                with pytest.raises(Unavailable, match="could not be read"):
                    await client.config.load()
                network.resume()


async def test_what_the_service_cannot_run_with_does_not_keep_it_from_starting_with_the_copy(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with opened(nats_server.url) as store:
        await store.put("some-consumer", {"risk": {"leverage": 1}})
        async with consumer(nats_server.url, config_cache=tmp_path) as client:
            good = await client.config.load(Settings)
        bad = await store.put("some-consumer", {"risk": "none"})
        async with consumer(nats_server.url, config_cache=tmp_path) as client:
            assert await client.config.load(Settings) == good
            assert client.config.from_disk
            assert client.config.revision == 1
            assert client.config.refused is not None
            assert client.config.refused.revision == bad
        async with consumer(nats_server.url) as client:
            with pytest.raises(InvalidConfig):
                await client.config.load(Settings)


@pytest.mark.parametrize("harm", ["cut", "flipped", "of another service", "of another format", "empty", "a folder"])
async def test_a_broken_copy_is_as_good_as_none_and_logged(
    nats_server: NatsServer, tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "some-consumer.json"
    async with opened(nats_server.url) as store:
        await store.put("some-consumer", {"n": 1})
        async with consumer(nats_server.url, config_cache=tmp_path) as client:
            await client.config.load()
    kept = path.read_bytes()
    path.unlink()
    harmed = {
        "cut": kept[:-20],
        "flipped": kept.replace(b'"n":1', b'"n":7'),
        "of another service": kept.replace(b'"service":"some-consumer"', b'"service":"another"'),
        "of another format": kept.replace(b'"format":1', b'"format":2'),
        "empty": b"",
    }
    if harm in harmed:
        assert harmed[harm] != kept
        path.write_bytes(harmed[harm])
    else:
        path.mkdir()
    with pytest.raises(Unavailable):
        async with consumer(f"nats://127.0.0.1:{free_port()}", config_cache=tmp_path, start_timeout=0.3):
            pass
    assert any("no copy of a configuration" in line.message for line in caplog.records)
    async with consumer(nats_server.url, config_cache=tmp_path) as client:
        assert await client.config.load() == {"n": 1}
    if harm == "a folder":
        assert any("could not be kept" in line.message for line in caplog.records)
    else:
        assert path.read_bytes() == kept


_APPLIES_AND_DIES = """
import asyncio, os, signal, sys
from hub.client import CentralHubClient

async def main():
    async with CentralHubClient("mortal", port=8000, instance_id="m", nats_url=sys.argv[1]) as client:
        @client.config.on_change
        def adopt(config):
            print("applied", config["n"], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        await client.config.load()
        print("loaded", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_who_dies_between_applying_and_acknowledging_acknowledges_after_its_restart(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url):
        async with opened(nats_server.url) as store:
            first = await store.put("mortal", {"n": 1})
            process = subprocess.Popen(
                [sys.executable, "-c", _APPLIES_AND_DIES, nats_server.url],
                stdout=subprocess.PIPE,
                env=environment(PYTHONPATH=os.pathsep.join(sys.path)),
            )
            assert process.stdout is not None
            try:
                assert await asyncio.to_thread(process.stdout.readline) == b"loaded\n"
                await until(lambda: acknowledged(store, first), "the first is acknowledged")
                second = await store.put("mortal", {"n": 2})
                assert await asyncio.to_thread(process.stdout.readline) == b"applied 2\n"
                assert await asyncio.to_thread(process.wait, 30) == -signal.SIGKILL
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
            assert not acknowledged(store, second)
            async with service(nats_server.url, "mortal", "m", ttl=600.0) as client:
                assert await client.config.load() == {"n": 2}
                await until(lambda: acknowledged(store, second), "the restarted instance says so")


async def test_a_cancelled_load_leaves_a_client_that_can_load(nats_server: NatsServer) -> None:
    async with opened(nats_server.url) as store, Proxy(nats_server.port) as network:
        await store.put("some-consumer", {"n": 1})
        async with consumer(network.url) as client:
            network.stall()
            loading = asyncio.create_task(client.config.load())
            await asyncio.sleep(0.1)
            loading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await loading
            network.resume()
            assert await client.config.load() == {"n": 1}
