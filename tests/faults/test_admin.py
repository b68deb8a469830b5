"""What operators want outlives whatever dies: instances, hubs, the registry itself."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client

from tests.calls import call, connected, discover, ids, register
from tests.clients import consumer, eventually, service, until_known
from tests.faults.test_replicas import answers_of
from tests.hubs import HubProcess
from tests.instance import InstanceProcess
from tests.servers import NatsServer


async def until_shown(client: Client, name: str, **expected: Any) -> None:
    """Return once the only instance of a service is shown with these fields."""

    async def as_expected() -> bool:
        found = (await discover(client, name, status="any")).get("instances", [])
        return len(found) == 1 and {field: found[0][field] for field in expected} == expected

    await eventually(as_expected, f"{name} is shown with {expected}")


async def until_answered(client: Client, subject: str, message: dict[str, Any]) -> Any:
    """The reply to a request that is made until a hub answers it."""
    replies: list[Any] = []

    async def answered() -> bool:
        try:
            replies.append(await call(client, subject, message, timeout=1.0))
        except (TimeoutError, nats.errors.Error):
            return False
        return "error" not in replies[-1]

    await eventually(answered, f"{subject} is answered")
    return replies[-1]


async def test_an_instance_that_is_killed_and_restarted_is_still_drained(
    own_hub: HubProcess, own_client: Client
) -> None:
    target = {"name": "engine", "instance_id": "e1"}
    with InstanceProcess(own_hub.nats_url, "engine", "e1", ttl=1.0, deregister_after=1.0) as first:
        await call(own_client, "hub.admin.drain", {**target, "reason": "rack move"})
        await until_shown(own_client, "engine", status="draining")
        first.kill()
        await until_shown(own_client, "engine", status="critical")

        async def gone() -> bool:
            return await ids(own_client, "engine", status="any") == []

        await eventually(gone, "the dead instance is removed")
    with InstanceProcess(own_hub.nats_url, "engine", "e1"):
        await until_shown(own_client, "engine", status="draining")
        assert await ids(own_client, "engine") == []
        await call(own_client, "hub.admin.undrain", target)
        assert await ids(own_client, "engine") == ["e1"]


async def test_a_hub_that_is_killed_and_restarted_knows_what_is_wanted(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "engine", weight=50)
    target = {"name": "engine", "instance_id": "engine-1"}
    await call(own_client, "hub.admin.maintenance", {**target, "on": True, "reason": "disk", "author": "ada"})
    await call(own_client, "hub.admin.weight", {**target, "weight": 9})
    await call(own_client, "hub.admin.metadata", {**target, "metadata": {"owner": "ops"}})
    before = await call(own_client, "hub.admin.get", {"name": "engine"})
    own_hub.kill()
    own_hub.start()
    assert await until_answered(own_client, "hub.admin.get", {"name": "engine"}) == before
    await until_shown(own_client, "engine", status="maintenance", weight=9, metadata={"owner": "ops"})
    await call(own_client, "hub.admin.maintenance", {**target, "on": False})
    await until_shown(own_client, "engine", status="passing", weight=9)


async def test_what_is_wanted_outlives_the_loss_of_the_whole_registry(own_hub: HubProcess, own_client: Client) -> None:
    async with service(own_hub.nats_url, "engine", "e1"), consumer(own_hub.nats_url) as looking:
        await until_known(looking, "engine", ["e1"])
        await call(own_client, "hub.admin.drain", {"name": "engine", "instance_id": "e1", "reason": "rack move"})
        await own_client.jetstream().delete_stream("KV_hub-registry")
        await until_answered(own_client, "hub.register", {"name": "other", "host": "h", "port": 1})
        await until_shown(own_client, "engine", status="draining")
        await until_known(looking, "engine", [])

        async def registered_again() -> bool:
            (row,) = (await call(own_client, "hub.admin.get", {"name": "engine"}))["instances"]
            return (row["status"], row["desired"]["reason"]) == ("draining", "rack move")

        await eventually(registered_again, "it has registered again, and is drained as before")


async def test_replicas_agree_on_what_is_wanted_whichever_of_them_is_told(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with connected(server.url) as client, consumer(server.url) as looking:
            for number in range(20):
                await register(client, "contested", f"c{number:02}", port=1000 + number)
            everybody = [f"c{number:02}" for number in range(20)]
            await until_known(looking, "contested", everybody)
            for number in range(20):  # whoever answers, the one that leads or the other
                target = {"name": "contested", "instance_id": f"c{number:02}"}
                reply = await call(client, "hub.admin.drain", {**target, "reason": "r", "author": "ada"})
                assert reply["instances"][0]["status"] == "draining"
            await until_known(looking, "contested", [])
            for number in range(0, 20, 2):
                await call(client, "hub.admin.undrain", {"name": "contested", "instance_id": f"c{number:02}"})
            await until_known(looking, "contested", everybody[::2])

            async def agreed() -> bool:
                return await answers_of(client, hubs[0], [hubs[1]]) == await answers_of(client, hubs[1], [hubs[0]])

            await eventually(agreed, "both answer the same, to the byte")
            fresh = stack.enter_context(HubProcess(tmp_path / "fresh", nats_url=server.url))
            assert await answers_of(client, fresh, hubs) == await answers_of(client, hubs[0], [hubs[1], fresh])


async def test_replicas_that_are_told_opposite_things_at_once_end_up_with_one(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with connected(server.url) as client:
            await register(client, "contested", "c1")
            target = {"name": "contested", "instance_id": "c1"}
            for number in range(100):
                await client.publish("hub.admin." + ("drain", "undrain")[number % 2], json.dumps(target).encode())
            await call(client, "hub.admin.weight", {**target, "weight": 5})

            async def agreed() -> bool:
                return await answers_of(client, hubs[0], [hubs[1]]) == await answers_of(client, hubs[1], [hubs[0]])

            await eventually(agreed, "both answer the same, to the byte")
            (row,) = (await call(client, "hub.admin.get", {"name": "contested"}))["instances"]
            (instance,) = (await discover(client, "contested", status="any"))["instances"]
            assert instance["weight"] == row["desired"]["weight"] == 5
            assert instance["status"] == row["desired"].get("mode", "passing")
        for hub in hubs:
            assert "Traceback" not in hub.output()


async def test_a_new_leader_writes_what_was_wanted_while_nobody_led(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with connected(server.url) as client, consumer(server.url) as looking:
            await register(client, "engine", "e1")
            await until_known(looking, "engine", ["e1"])
            hubs[0].kill()  # it was the first, and leads
            await until_answered(client, "hub.admin.drain", {"name": "engine", "instance_id": "e1"})
            await until_known(looking, "engine", [])
