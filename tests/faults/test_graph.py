"""What one hub observes the others know, and a hub that comes later learns it."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from tests.calls import connected, register
from tests.clients import eventually, service
from tests.hubs import HubProcess
from tests.servers import NatsServer


async def observed_by(client: Client, hub: HubProcess, others: list[HubProcess]) -> set[tuple[str, str]]:
    """The observed edges as one hub tells them; the others are frozen meanwhile, so that it answers."""
    for other in others:
        other.interrupt(signal.SIGSTOP)
    try:
        while True:
            try:
                reply = await client.request("hub.graph", b"{}", timeout=0.3)
            except TimeoutError:
                continue  # one of the frozen was to answer
            found: dict[str, Any] = json.loads(reply.data)
            return {(edge["source"], edge["target"]) for edge in found["edges"] if edge["observed"]}
    finally:
        for other in others:
            other.interrupt(signal.SIGCONT)


async def test_every_replica_knows_what_was_observed_by_beats_or_by_another(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with connected(server.url) as client, service(server.url, "gate", "g1", ttl=1.0) as gate:
            await register(client, "engine")
            await gate.discover("engine")
            for number in range(8):
                headers = {"Hub-Service": f"script-{number}"}
                await client.request("hub.discover", b'{"name":"engine"}', timeout=10, headers=headers)
            expected = {("gate", "engine"), *((f"script-{number}", "engine") for number in range(8))}
            for hub in hubs:
                others = [other for other in hubs if other is not hub]

                async def knows_all(hub: HubProcess = hub, others: list[HubProcess] = others) -> bool:
                    return await observed_by(client, hub, others) == expected

                await eventually(knows_all, "both replicas know every edge")


async def test_a_client_tells_a_hub_that_was_restarted_what_it_uses(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "engine")
    async with service(own_hub.nats_url, "gate", "g1", ttl=1.0) as gate:
        await gate.discover("engine")

        async def is_known() -> bool:
            return await observed_by(own_client, own_hub, []) == {("gate", "engine")}

        await eventually(is_known, "the hub knows what the gate uses")
        own_hub.kill()
        own_hub.start()

        async def is_reachable() -> bool:
            return own_client.is_connected and gate.connected

        await eventually(is_reachable, "both are back")
        await eventually(is_known, "the new hub knows it, too", within=90)
