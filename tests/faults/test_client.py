"""The SDK while hubs, NATS, networks and instances fail: real processes, killed and cut off."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from examples.tiny_http import get
from hub.client import CentralHubClient, HubError, Unavailable
from tests.clients import ExampleProcess, consumer, eventually, known, service, until_known
from tests.hubs import HubProcess
from tests.proxy import Proxy
from tests.servers import NatsServer
from tests.waiting import end, until


class Seeker:
    """Somebody who discovers a service again and again, and writes down when that did not work."""

    def __init__(self) -> None:
        self.asked = 0
        self.failures: list[HubError] = []

    async def seek(self, client: CentralHubClient, name: str) -> None:
        """Do so until cancelled."""
        while True:
            self.asked += 1
            try:
                await client.discover(name)
            except HubError as error:
                self.failures.append(error)
            await asyncio.sleep(0.005)


@asynccontextmanager
async def seeking(client: CentralHubClient, name: str) -> AsyncIterator[Seeker]:
    """Somebody seeks meanwhile."""
    seeker = Seeker()
    task = asyncio.create_task(seeker.seek(client, name))
    try:
        yield seeker
    finally:
        await end(task)


async def is_stale(client: CentralHubClient, name: str) -> bool:
    return (await client.discover_all(name)).stale


async def test_discovery_goes_on_while_the_hub_is_dead_even_for_newcomers(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url) as hub:
        async with service(nats_server.url, "engine", "e1"), consumer(nats_server.url) as client:
            assert await known(client, "engine") == ["e1"]
            hub.kill()
            assert (await client.discover("engine")).instance_id == "e1"
            async with consumer(nats_server.url) as newcomer:
                assert (await newcomer.discover("engine")).instance_id == "e1"
                assert not await is_stale(newcomer, "engine")
                with pytest.raises(Unavailable):
                    await newcomer.services()


async def test_discovery_goes_on_while_nats_is_dead_and_says_so(nats_server: NatsServer, tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url) as hub:
        async with service(nats_server.url, "engine", "e1") as mine, consumer(nats_server.url) as client:
            assert not await is_stale(client, "engine")
            hub.kill()
            nats_server.kill()
            await until(lambda: not client.connected and not mine.connected, "the loss of NATS is noticed")
            answer = await client.discover_all("engine")
            assert [i.instance_id for i in answer] == ["e1"]
            assert answer.stale
            assert (await client.discover("engine")).instance_id == "e1"
            assert (await client.discover("engine", strategy="least_loaded")).instance_id == "e1"
            with pytest.raises(Unavailable):
                await client.discover("never-asked-for-before")
            nats_server.start()
            hub.start()

            async def is_fresh() -> bool:
                return not await is_stale(client, "engine")

            await eventually(is_fresh, "the cache is fresh again")
            assert mine.connected


async def test_a_restart_of_nats_is_survived_by_everybody(own_hub: HubProcess) -> None:
    url = own_hub.nats_url
    async with service(url, "engine", "e1") as mine, consumer(url) as client, seeking(client, "engine") as seeker:
        await until(lambda: seeker.asked > 10, "somebody seeks")
        own_hub.kill()  # and its NATS with it
        await until(lambda: not client.connected, "the loss of NATS is noticed")
        own_hub.start()
        await until(lambda: client.connected and mine.connected, "both are connected again")
        async with consumer(url) as newcomer:
            await until_known(newcomer, "engine", ["e1"])
        assert mine.registered
        assert not seeker.failures


async def test_everybody_registers_again_with_a_hub_that_has_forgotten_them(own_hub: HubProcess) -> None:
    url = own_hub.nats_url
    first, second = (service(url, "engine", f"e{number}") for number in (1, 2))
    async with first, second, consumer(url) as client, seeking(client, "engine") as seeker:
        await until_known(client, "engine", ["e1", "e2"])
        own_hub.kill()
        shutil.rmtree(own_hub.data_dir)
        own_hub.start()
        async with consumer(url) as newcomer:

            async def both_are_back() -> bool:
                return await known(newcomer, "engine") == ["e1", "e2"]

            await eventually(both_are_back, "both have registered again")

        async def nothing_is_doubted() -> bool:
            answer = await client.discover_all("engine")
            return len(answer) == 2 and not answer.degraded and not answer.stale

        await eventually(nothing_is_doubted, "the cache has followed")
        await until(lambda: first.registered and second.registered, "both know it")
        assert not seeker.failures, "whom the hub forgot was no longer found, though it lived"


async def test_whoever_died_with_the_registry_is_not_kept_for_long(own_hub: HubProcess, tmp_path: Path) -> None:
    async with consumer(own_hub.nats_url) as client:
        with ExampleProcess(tmp_path, "trading_engine", own_hub.nats_url, "--instance-id", "e1") as engine:
            await until_known(client, "trading-engine", ["e1"])
            own_hub.kill()
            engine.kill()
        shutil.rmtree(own_hub.data_dir)
        own_hub.start()
        await until_known(client, "trading-engine", [])


async def test_a_killed_instance_is_no_longer_chosen(own_hub: HubProcess, tmp_path: Path) -> None:
    url = own_hub.nats_url
    with (
        ExampleProcess(tmp_path, "trading_engine", url, "--instance-id", "doomed") as doomed,
        ExampleProcess(tmp_path, "trading_engine", url, "--instance-id", "other"),
    ):
        async with consumer(url) as client:
            await until_known(client, "trading-engine", ["doomed", "other"])

            async def chosen() -> set[str]:
                return {(await client.discover("trading-engine")).instance_id for _ in range(10)}

            assert await chosen() == {"doomed", "other"}
            doomed.kill()

            async def only_the_other_is_chosen() -> bool:
                return await chosen() == {"other"}

            await eventually(only_the_other_is_chosen, "the dead one is no longer chosen", within=2.0)


async def test_a_gateway_loses_no_request_while_an_engine_is_killed(own_hub: HubProcess, tmp_path: Path) -> None:
    url = own_hub.nats_url
    with (
        ExampleProcess(tmp_path, "trading_engine", url, "--instance-id", "e1") as first,
        ExampleProcess(tmp_path, "trading_engine", url, "--instance-id", "e2") as second,
        ExampleProcess(tmp_path, "api_gateway", url) as gateway,
    ):
        answered: set[str] = set()
        for number in range(60):
            if number == 30:
                assert answered == {"e1", "e2"}
                answered.clear()
                first.kill()
            status, body = await get("127.0.0.1", gateway.port, "/orders")
            assert status == 200, body
            answered.add(body["engine"])
        assert answered == {"e2"}
        assert second.stop() == 0
        status, body = await get("127.0.0.1", gateway.port, "/orders")
        assert status in (502, 503)
        assert gateway.stop() == 0


async def test_a_stalled_network_is_noticed_and_its_return_too(own_hub: HubProcess) -> None:
    async with (
        Proxy(int(own_hub.nats_url.rsplit(":", 1)[1])) as network,
        service(own_hub.nats_url, "engine", "e1"),
        consumer(network.url) as client,
    ):
        assert await known(client, "engine") == ["e1"]
        network.stall()

        async def stale() -> bool:
            return await is_stale(client, "engine")

        await eventually(stale, "the silence of the network is noticed")
        assert (await client.discover("engine")).instance_id == "e1"
        async with service(own_hub.nats_url, "engine", "e2"):
            network.resume()
            await until_known(client, "engine", ["e1", "e2"])


async def test_changes_while_cut_off_are_known_after_the_return(
    own_hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for periodic in ("SETTLING", "PERIOD"):  # it is the return that must prompt the reading, not the clock
        monkeypatch.setattr(f"hub.client.rereading.{periodic}", 3600.0)
    async with Proxy(int(own_hub.nats_url.rsplit(":", 1)[1])) as network, consumer(network.url) as client:
        leaving = service(own_hub.nats_url, "engine", "e1")
        await leaving.register()
        assert await known(client, "engine") == ["e1"]
        network.stall()
        network.cut()
        await leaving.close()
        async with service(own_hub.nats_url, "engine", "e2"):
            network.resume()
            await until_known(client, "engine", ["e2"])


async def test_a_client_closes_soon_whatever_is_down(nats_server: NatsServer, tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url) as hub:
        without_hub, without_nats = (service(nats_server.url, "engine", f"e{number}") for number in (1, 2))
        await without_hub.register()
        await without_nats.register()
        await without_nats.discover("engine")
        tasks = asyncio.all_tasks()
        hub.kill()
        async with asyncio.timeout(10):
            await without_hub.close()
        nats_server.kill()
        await until(lambda: not without_nats.connected, "the loss of NATS is noticed")
        async with asyncio.timeout(10):
            await without_nats.close()
        await until(lambda: len(asyncio.all_tasks() & tasks) == 1, "nothing is left running")


async def test_a_client_closes_soon_while_the_network_stalls(own_hub: HubProcess) -> None:
    async with Proxy(int(own_hub.nats_url.rsplit(":", 1)[1])) as network:
        mine = service(network.url, "engine", "e1")
        await mine.register()
        await mine.discover("engine")
        network.stall()
        async with asyncio.timeout(10):
            await mine.close()
        assert not mine.connected


async def test_without_the_right_to_read_the_registry_the_hub_is_asked(tmp_path: Path) -> None:
    rights = """
    authorization { users: [
      { user: hub, password: hub }
      { user: app, password: app, permissions: { publish: { deny: ["$JS.>"] } } }
    ] }"""
    with NatsServer(tmp_path / "nats", config=rights) as server:
        address = server.url.removeprefix("nats://")
        with HubProcess(tmp_path / "hub", nats_url=f"nats://hub:hub@{address}"):
            url = f"nats://app:app@{address}"
            async with service(url, "engine", "e1"), consumer(url) as client:
                assert (await client.discover("engine")).instance_id == "e1"
                assert not await is_stale(client, "engine")
                async with service(url, "engine", "e2"):
                    await until_known(client, "engine", ["e1", "e2"])
                await until_known(client, "engine", ["e1"])
