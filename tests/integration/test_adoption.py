"""Services that speak only the micro protocol of NATS are found, shown, and followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from nats.aio.client import Client

from tests import commands
from tests.calls import call, connected, discover, ids, register
from tests.clients import eventually
from tests.hubs import HubProcess
from tests.microservice import ByHand, MicroProcess

pytestmark = pytest.mark.open_only("what answers to $SRV in the account of the services, no hub can hear")

QUICK = {"HUB_MICRO_INTERVAL": "0.5"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that asks twice a second."""
    with HubProcess(tmp_path_factory.mktemp("hub"), variables=QUICK) as process:
        yield process


@pytest.fixture
async def client(hub: HubProcess) -> AsyncIterator[Client]:
    """A plain NATS connection to that hub's NATS."""
    async with connected(hub.nats_url) as connection:
        yield connection


async def until_found(client: Client, name: str, expected: list[str], **given: Any) -> None:
    """Return once a discovery finds exactly these instances."""

    async def as_expected() -> bool:
        return sorted(await ids(client, name, **given)) == sorted(expected)

    await eventually(as_expected, f"{name} is found as {expected}")


async def found(client: Client, name: str, instance_id: str) -> dict[str, Any]:
    """One instance, once it is found."""
    await until_found(client, name, [instance_id])
    instance: dict[str, Any] = (await discover(client, name))["instances"][0]
    return instance


async def skipped(client: Client, reason: str) -> float:
    """How often somebody was not taken in for this reason."""
    text = (await client.request("hub.metrics", b"", timeout=10)).data.decode()
    [line] = [each for each in text.splitlines() if each.startswith(f'hub_adoption_skipped_total{{reason="{reason}"}}')]
    return float(line.split()[1])


async def test_a_service_of_nats_py_is_found_with_its_subjects_and_leaves_when_it_stops(
    hub: HubProcess, client: Client
) -> None:
    with MicroProcess(hub.nats_url, "Price_Feed", "1.2.3", "quote=prices.quote", "list=prices.list") as service:
        instance = await found(client, "price-feed", service.id)
        assert (instance["source"], instance["version"], instance["status"]) == ("micro", "1.2.3", "passing")
        assert instance["url"] == hub.nats_url
        assert instance["tags"] == ["micro"]

        async def has_all() -> bool:
            [shown] = (await discover(client, "price-feed"))["instances"]
            return [each["subject"] for each in shown["metadata"]["endpoints"]] == ["prices.quote", "prices.list"]

        await eventually(has_all, "the endpoints are known, even those added after it was found")
        [shown] = (await discover(client, "price-feed"))["instances"]
        assert shown["metadata"]["micro_name"] == "Price_Feed"
        assert shown["metadata"]["description"] == "The Price_Feed."
        assert service.id in await ids(client, "", capabilities=["quote"])
        assert (await client.request("prices.quote", b"42", timeout=10)).data == b"42"
        listed = commands.run_json("services", nats=hub.nats_url)
        assert "price-feed" in [row["name"] for row in listed["services"]]
        assert "micro" in commands.run("discover", "price-feed", nats=hub.nats_url).stdout
        assert service.stop() == 0
        await until_found(client, "price-feed", [], status="any")


async def test_the_hub_does_not_find_itself(hub: HubProcess, client: Client) -> None:
    async with ByHand(client, "witness", "w1"):
        await until_found(client, "witness", ["w1"])
        assert "central-hub" not in [row["name"] for row in (await call(client, "hub.services"))["services"]]


async def test_another_version_other_metadata_and_new_endpoints_are_followed(client: Client) -> None:
    async with ByHand(client, "followed", "f1", metadata={"tier": "one"}) as service:
        assert (await found(client, "followed", "f1"))["metadata"]["micro"] == {"tier": "one"}
        service.says(version="1.1.0", metadata={"tier": "two"}, endpoints=({"name": "a", "subject": "a.b"},))

        async def follows() -> bool:
            instance = await found(client, "followed", "f1")
            told = instance["metadata"]
            return (instance["version"], told["micro"], told["endpoints"]) == (
                "1.1.0",
                {"tier": "two"},
                [{"name": "a", "subject": "a.b", "queue_group": ""}],
            )

        await eventually(follows, "what changed is shown")
        asked = service.asked
        service.says(version="1.1.0", metadata={"tier": "two"}, endpoints=({"name": "a", "subject": "a.c"},))

        async def follows_without_a_hint() -> bool:
            told = (await found(client, "followed", "f1"))["metadata"]
            return [each["subject"] for each in told["endpoints"]] == ["a.c"]

        await eventually(follows_without_a_hint, "new endpoints are found even though its PING is as before")
        assert service.asked - asked < 20, "it is not asked about itself in every round"


async def test_one_that_registers_itself_under_the_same_id_is_one_instance_and_its_own(client: Client) -> None:
    async with ByHand(client, "both", "b1"):
        assert (await found(client, "both", "b1"))["source"] == "micro"
        await register(client, "both", "b1", port=8123)
        for _ in range(20):
            [instance] = (await discover(client, "both", status="any"))["instances"]
            assert (instance["source"], instance["port"]) == ("registration", 8123)
            await asyncio.sleep(0.1)  # several rounds
        await call(client, "hub.deregister", {"name": "both", "instance_id": "b1"})
        assert (await found(client, "both", "b1"))["source"] == "micro"


async def test_one_that_registers_itself_under_another_id_is_not_listed_twice(client: Client) -> None:
    async with ByHand(client, "two_ids", "found-by-nats"):
        await until_found(client, "two-ids", ["found-by-nats"])
        await register(client, "two-ids", "registered-itself")
        await until_found(client, "two-ids", ["registered-itself"], status="any")
        assert await skipped(client, "registered") >= 1
        await call(client, "hub.deregister", {"name": "two-ids", "instance_id": "registered-itself"})
        await until_found(client, "two-ids", ["found-by-nats"])


async def test_one_that_registers_itself_under_another_name_is_not_listed_twice(client: Client) -> None:
    async with ByHand(client, "SomeEngine", "e1"):
        await until_found(client, "someengine", ["e1"])
        assert "revision" in await register(client, "some-engine", "e1")
        await until_found(client, "someengine", [], status="any")
        assert await ids(client, "some-engine") == ["e1"]
        assert await skipped(client, "conflict") >= 1


async def test_one_that_wants_to_be_left_alone_is(client: Client) -> None:
    async with ByHand(client, "shy", "s1", metadata={"hub.adopt": "false"}), ByHand(client, "bold", "bold-1"):
        await until_found(client, "bold", ["bold-1"])
        assert await ids(client, "shy", status="any") == []
        assert await skipped(client, "declined") >= 1


async def test_operators_wishes_hold_for_one_that_was_found(client: Client) -> None:
    async with ByHand(client, "drained", "d1"):
        await until_found(client, "drained", ["d1"])
        await call(client, "hub.admin.drain", {"name": "drained", "instance_id": "d1", "reason": "test"})
        for _ in range(10):
            assert await ids(client, "drained", status="draining") == ["d1"]
            await asyncio.sleep(0.1)
        await call(client, "hub.admin.undrain", {"name": "drained", "instance_id": "d1"})
        await until_found(client, "drained", ["d1"])


async def test_its_events_are_told_like_everybody_s(client: Client) -> None:
    events = await client.jetstream().subscribe("hub.events.>", ordered_consumer=True)
    async with ByHand(client, "storied", "s1"):
        await until_found(client, "storied", ["s1"])
    await until_found(client, "storied", [], status="any")
    told: list[str] = []
    async with asyncio.timeout(20):
        while "hub.events.service.expired" not in told:
            message = await events.next_msg(timeout=10)
            if b"storied.s1" in message.data:
                told.append(message.subject)
    assert told[0] == "hub.events.service.registered"
    await events.unsubscribe()
