"""A service that is thrown out again and again, with another credential each time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client import CentralHubClient
from tests.calls import connected, discover
from tests.clients import eventually, service, until_known
from tests.hubs import HubProcess
from tests.keys import nkey_pair
from tests.servers import NatsServer
from tests.waiting import PATIENCE, end, until

ROUNDS = 20


def _accounts(*public: str) -> str:
    let_in = ", ".join(["{ user: hub, password: hub }", *(f"{{ nkey: {each} }}" for each in public)])
    return f"""
    accounts {{
      APP {{ jetstream: enabled, users: [ {let_in} ] }}
      SYS {{ users: [ {{ user: sys, password: sys }} ] }}
    }}
    system_account: SYS
    """


class Load:
    """Discovers without a pause, and counts; every answer must come, whatever becomes of the connection."""

    def __init__(self, client: CentralHubClient, name: str) -> None:
        self._client = client
        self._name = name
        self.answers = 0
        self.while_away = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            found = await self._client.discover(self._name)
            assert found.instance_id == "o1"
            self.answers += 1
            self.while_away += not self._client.connected
            await asyncio.sleep(0.002)


@asynccontextmanager
async def _operator(server: NatsServer) -> AsyncIterator[tuple[Client, str]]:
    """A connection in the system account, and the id of the server."""
    async with connected(server.url, user="sys", password="sys") as system:
        pong = await system.request("$SYS.REQ.SERVER.PING", timeout=PATIENCE)
        yield system, json.loads(pong.data)["server"]["id"]


async def _kick(system: Client, server_id: str, client: CentralHubClient) -> None:
    """Have the server end its connection. Without a reply subject it would not."""
    kick = json.dumps({"cid": _connection(client).client_id}).encode()
    await system.request(f"$SYS.REQ.SERVER.{server_id}.KICK", kick, timeout=PATIENCE)


def _connection(client: CentralHubClient) -> Client:
    assert client._session is not None
    connection = client._session.link._client
    assert connection is not None
    return connection


def _logged_in_with(client: CentralHubClient, public: str) -> Callable[[], bool]:
    def is_so() -> bool:
        connection = _connection(client)
        assert not connection.is_closed, "never closed"
        return connection.is_connected and connection._public_nkey == public

    return is_so


def _lets_in(server: NatsServer, seed: str) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        try:
            await (await nats.connect(server.url, nkeys_seed_str=seed, allow_reconnect=False)).close()
        except (nats.errors.Error, OSError):
            return False
        return True

    return is_so


async def test_a_service_thrown_out_twenty_times_stays_registered_and_answers_from_its_cache(tmp_path: Path) -> None:
    file = tmp_path / "seed"
    seed, public = nkey_pair()
    file.write_text(seed)
    file.chmod(0o600)
    gone: list[bytes] = []
    beats: list[bytes] = []
    seen: set[str] = set()

    async def on_delta(message: Msg) -> None:
        if not message.data:
            gone.append(message.data)

    async def on_beat(message: Msg) -> None:
        beats.append(message.data)

    with NatsServer(tmp_path / "nats", config=_accounts(public)) as server:
        url = server.url.replace("//", "//hub:hub@")
        with HubProcess(tmp_path / "hub", nats_url=url):
            async with (
                _operator(server) as (system, server_id),
                connected(url) as observer,
                service(url, "other", "o1"),
                service(server.url, "engine", "e1", nkey=file) as client,
            ):
                await observer.subscribe("hub.delta.registry.engine.e1", cb=on_delta)
                await observer.subscribe("hub.heartbeat.engine.e1", cb=on_beat)
                await observer.flush()
                await until_known(client, "other", ["o1"])

                async def watch() -> None:
                    async for change in client.watch("other"):
                        seen.add(f"{change.kind} {change.instance.instance_id}")

                load = Load(client, "other")
                tasks = [asyncio.create_task(load.run()), asyncio.create_task(watch())]
                for n in range(ROUNDS):
                    before = len(beats)
                    old, (seed, public) = public, nkey_pair()
                    file.write_text(seed)
                    if n % 2:  # its user is taken out, and the server says so when it hangs up
                        server.reload(_accounts(public))
                    else:  # it is let in by either, and thrown out without a word
                        server.reload(_accounts(old, public))
                        await eventually(_lets_in(server, seed), "the server knows the new nkey")
                        await _kick(system, server_id, client)
                    await until(_logged_in_with(client, public), f"let in with the new nkey, round {n}")
                    await until(lambda before=before: len(beats) > before, f"it beats, round {n}")  # type: ignore[misc]
                    assert client.registered
                    assert not tasks[0].done()
                assert len((await discover(observer, "engine"))["instances"]) == 1
                async with service(url, "other", "o2"):
                    await until(lambda: "added o2" in seen, "the watch goes on")
                await end(*tasks)
                assert gone == [], "the registration was lost meanwhile"
                assert load.while_away > 0
                assert client.registered
                assert await client.services(), "the hub answers, too"
