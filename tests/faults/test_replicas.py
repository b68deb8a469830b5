"""Several hubs on one NATS: the same answers, whoever wrote and whoever is asked; no harm from one that comes back."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.calls import call, connected, ids, register
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import end, until

QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("hub.services", {}),
    ("hub.discover", {"name": "contested", "status": "any"}),
    ("hub.discover", {"name": "contested", "tags": ["red"]}),
    ("hub.discover", {"name": "second"}),
    ("hub.discover", {"name": "nobody"}),
    ("hub.discover", {"capabilities": ["c"], "status": "any"}),
)


async def answers(client: Client) -> list[bytes]:
    """What whoever answers says to all questions."""
    return [(await client.request(subject, json.dumps(ask).encode(), timeout=10)).data for subject, ask in QUESTIONS]


async def answers_of(client: Client, hub: HubProcess, others: list[HubProcess]) -> list[bytes]:
    """What one hub says to all questions. The others are frozen meanwhile, so each is asked until it is answered."""
    for other in others:
        other.interrupt(signal.SIGSTOP)
    try:
        found = []
        for subject, ask in QUESTIONS:
            while True:
                try:
                    found.append((await client.request(subject, json.dumps(ask).encode(), timeout=0.3)).data)
                    break
                except TimeoutError:
                    continue  # one of the frozen was to answer
        return found
    finally:
        for other in others:
            other.interrupt(signal.SIGCONT)


async def contend(client: Client, seed: int) -> list[dict[str, Any]]:
    """Register and deregister the same few instances as others do at the same time; returns the refusals."""
    chance = random.Random(seed)
    refused = []
    for _ in range(120):
        name = chance.choice(("contested", "contested", "second"))
        instance = f"{name}-{chance.randrange(4)}"
        if chance.random() < 0.6:
            reply = await register(
                client,
                name,
                instance,
                port=1 + chance.randrange(3),
                tags=chance.sample(["red", "blue"], chance.randrange(3)),
                metadata={"capabilities": ["c"], "n": chance.randrange(3)},
            )
        else:
            reply = await call(client, "hub.deregister", {"name": name, "instance_id": instance})
        if "error" in reply:
            refused.append(reply["error"])
    return refused


async def test_replicas_agree_to_the_byte_after_many_fought_over_the_same_instances(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with connected(server.url) as client:
            refused = [e for some in await asyncio.gather(*(contend(client, seed) for seed in range(16))) for e in some]
            assert {error["code"] for error in refused} <= {"not_found", "unavailable"}
            assert all(error["retryable"] for error in refused if error["code"] == "unavailable")
            last = await register(client, "contested", "contested-0", version="last")
            await call(client, "hub.discover", {"name": "contested", "min_revision": last["revision"], "wait": 10})
            fresh = stack.enter_context(HubProcess(tmp_path / "fresh", nats_url=server.url))
            everybody = [*hubs, fresh]
            deadline = time.monotonic() + 30
            while True:
                found = [await answers_of(client, hub, [h for h in everybody if h is not hub]) for hub in everybody]
                if found[0] == found[1] == found[2]:
                    break
                assert time.monotonic() < deadline, found
                await asyncio.sleep(0.2)


async def test_a_registration_counts_even_right_after_another_replica_took_the_instance_out(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        for number in range(3):
            stack.enter_context(HubProcess(tmp_path / f"hub{number}", nats_url=server.url))
        async with connected(server.url) as client:

            async def come_and_go(name: str) -> None:
                for _ in range(60):
                    assert "revision" in await register(client, name)
                    left = await call(client, "hub.deregister", {"name": name, "instance_id": f"{name}-1"})
                    assert "revision" in left, left
                stays = await register(client, name)
                answer = await call(
                    client, "hub.discover", {"name": name, "min_revision": stays["revision"], "wait": 10}, timeout=20
                )
                assert len(answer["instances"]) == 1, name

            await asyncio.gather(*(come_and_go(f"restless-{number}") for number in range(16)))


@pytest.mark.parametrize("which", [0, 1])
async def test_a_hub_that_wakes_up_after_its_term_harms_nobody(tmp_path: Path, which: int) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with connected(server.url) as client:
            stored: list[tuple[str, bytes]] = []

            async def on_delta(message: Msg) -> None:
                stored.append((message.subject, message.data))

            async def beat() -> None:
                while True:
                    for number in range(30):
                        await client.publish(f"hub.heartbeat.lively.l{number}")
                    await asyncio.sleep(0.3)

            beating = asyncio.create_task(beat())
            for number in range(30):
                await register(client, "lively", f"l{number}", port=number + 1, liveness="heartbeat", ttl=2)
            await client.subscribe("hub.delta.registry.lively.*", cb=on_delta)
            await client.flush()
            hubs[which].interrupt(signal.SIGSTOP)
            await asyncio.sleep(6)  # longer than its term, and than the ttl of those who beat
            hubs[which].interrupt(signal.SIGCONT)
            await until(lambda: hears_again(hubs[which].output()), "it hears again")
            for _ in range(10):
                assert len(await ids(client, "lively")) == 30
            assert stored == [], "somebody was marked or removed"
            await end(beating)


def hears_again(output: str) -> bool:
    """Whether the log says that the hub is well, after it said that it had stood still."""
    return re.search(r"part is well.* part=hub\b", output.rsplit("stood still", 1)[-1]) is not None


async def test_every_replica_goes_on_when_the_streams_are_deleted_under_it(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with connected(server.url) as client:
            jetstream = client.jetstream()
            await register(client, "before", liveness="heartbeat")
            for stream in (
                "HUB_EVENTS",
                "HUB_AUDIT",
                "KV_hub-leader",
                "KV_hub-config",
                "KV_hub-secrets",
                "KV_hub-access",
                "KV_hub-manifests",
                "OBJ_hub-components",
                "KV_hub-desired",
                "KV_hub-registry",
            ):
                await jetstream.delete_stream(stream)
                deadline = time.monotonic() + 30
                while "error" in (
                    reply := await register(client, f"after-{stream[:2].lower()}", stream.replace("_", "-"))
                ):
                    assert reply["error"]["retryable"] is True
                    assert time.monotonic() < deadline, reply
                    await asyncio.sleep(0.05)
            asked: list[str] = []

            async def on_ask(message: Msg) -> None:
                asked.append(message.subject)

            await client.subscribe("hub.reregister.before.*", cb=on_ask)
            deadline = time.monotonic() + 30
            while not asked:
                assert time.monotonic() < deadline, "whoever was lost with the store is asked to register again"
                await client.publish("hub.heartbeat.before.before-1")
                await asyncio.sleep(0.1)
            await register(client, "before", liveness="heartbeat")
            for _ in range(10):
                assert len(await ids(client, "before", min_revision=1, wait=5)) == 1
        for hub in hubs:
            assert "Traceback" not in hub.output()


@pytest.mark.parametrize("delay", [0.4, 0.5, 0.6, 0.8, 1.0])
def test_a_start_that_is_called_off_ends_in_time_and_in_order(tmp_path: Path, delay: float) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        hub.interrupt(signal.SIGTERM)
        assert hub.wait() == 0
        hub.start(wait=False)
        time.sleep(delay)  # somewhere in its start
        began = time.monotonic()
        hub.interrupt(signal.SIGTERM)
        assert hub.wait() in (0, -signal.SIGTERM)  # the latter before it looks at signals
        assert time.monotonic() - began < 8
        assert "Traceback" not in hub.output()
