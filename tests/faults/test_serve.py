"""`hub serve` on a NATS of somebody else's: with a system account, and on a cluster that loses a server."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client

from tests.calls import connected, discover, held_by, ids, register
from tests.hubs import HubProcess
from tests.instance import InstanceProcess
from tests.servers import NatsCluster, NatsServer

SYSTEM_ACCOUNT = """
accounts {
  SYS { users: [ { user: "watcher", password: "hidden-word" } ] }
  SERVICES { jetstream: enabled, users: [ { user: "services", password: "known" } ] }
}
system_account: SYS
no_auth_user: "services"
"""


async def within(seconds: float, client: Client, service: str, wanted: dict[str, str]) -> None:
    """Wait until the instances of a service have these statuses."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await discover(client, service, status="any")
        found = {instance["instance_id"]: instance["status"] for instance in answer["instances"]}
        if found == wanted:
            return
        assert time.monotonic() < deadline, f"{service}: {found}, expected {wanted}"
        await asyncio.sleep(0.01)


async def test_with_a_system_account_a_killed_process_is_suspect_at_once(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", config=SYSTEM_ACCOUNT) as server:
        system_url = f"nats://watcher:hidden-word@127.0.0.1:{server.port}"
        variables = {"HUB_NATS_SYSTEM_URL": system_url, "LOG_LEVEL": "debug"}
        with (
            HubProcess(tmp_path / "hub", nats_url=server.url, variables=variables) as hub,
            InstanceProcess(server.url, "engine", "doomed", ttl=60) as doomed,
        ):
            async with connected(server.url) as client:
                await within(10, client, "engine", {"doomed": "passing"})
                doomed.kill()
                await within(10, client, "engine", {"doomed": "suspect"})
            assert "hidden-word" not in hub.output()


async def test_a_hub_started_later_knows_the_connections_there_are(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", config=SYSTEM_ACCOUNT) as server:
        variables = {"HUB_NATS_SYSTEM_URL": f"nats://watcher:hidden-word@127.0.0.1:{server.port}"}
        with (
            HubProcess(tmp_path / "first", nats_url=server.url, variables=variables) as first,
            InstanceProcess(server.url, "engine", "early", ttl=60) as early,
        ):
            first.kill()
            with HubProcess(tmp_path / "second", nats_url=server.url, variables=variables):
                async with connected(server.url) as client:
                    assert await ids(client, "engine") == ["early"]
                    early.kill()
                    await within(15, client, "engine", {"early": "suspect"})


async def register_in_time(client: Client, name: str, seconds: float, **given: Any) -> None:
    """Register as a service would: again and again, until it is in."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            reply = await register(client, name, timeout=2, **given)
        except (nats.errors.Error, TimeoutError, json.JSONDecodeError) as error:
            reply = {"error": repr(error)}
        if "revision" in reply:
            return
        assert time.monotonic() < deadline, f"{name} did not get in: {reply}"
        await asyncio.sleep(0.2)


@pytest.mark.timeout(300)  # elections, on a busy machine
async def test_on_a_cluster_the_registry_is_replicated_and_outlives_a_server(tmp_path: Path) -> None:
    with NatsCluster(tmp_path / "cluster") as cluster:
        urls = ",".join(cluster.urls)
        with (
            HubProcess(tmp_path / "hub1", nats_url=urls),
            HubProcess(tmp_path / "hub2", nats_url=urls),
        ):
            async with connected(cluster.urls, max_reconnect_attempts=-1, reconnect_time_wait=0.2) as client:
                await register_in_time(client, "before", 30)
                leader = await held_by(client, "KV_hub-registry", servers=3, seconds=60)
                with InstanceProcess(urls, "steady", "s1", ttl=3):
                    cluster.named(leader).kill()
                    await register_in_time(client, "after", 60, port=2)
                    assert await ids(client, "before") == ["before-1"]
                    await within(60, client, "steady", {"s1": "passing"})
