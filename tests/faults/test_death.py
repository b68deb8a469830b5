"""Instances that die, and hubs that might think they did: real processes, killed and frozen."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from tests.calls import call, connected, discover, ids, register
from tests.hubs import HubProcess
from tests.instance import InstanceProcess
from tests.servers import NatsServer
from tests.waiting import until


async def status_of(client: Client, service: str, instance_id: str) -> str:
    answer = await discover(client, service, status="any")
    found = {instance["instance_id"]: instance["status"] for instance in answer["instances"]}
    return str(found.get(instance_id, "gone"))


async def becomes(client: Client, service: str, instance_id: str, *wanted: str, within: float = 30.0) -> float:
    """Wait until the instance has one of the statuses; returns the seconds that took."""
    began = time.monotonic()
    while (status := await status_of(client, service, instance_id)) not in wanted:
        assert time.monotonic() - began < within, f"{service}.{instance_id} is {status}, not {wanted}"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


async def test_a_killed_process_is_suspect_at_once_then_critical_then_gone(
    own_hub: HubProcess, own_client: Client
) -> None:
    url = own_hub.nats_url
    with (
        InstanceProcess(url, "engine", "living", ttl=2, port=1),
        InstanceProcess(url, "engine", "doomed", ttl=2, deregister_after=2, port=2) as doomed,
    ):
        assert await ids(own_client, "engine") == ["doomed", "living"]
        killed = time.monotonic()
        doomed.kill()
        await becomes(own_client, "engine", "doomed", "suspect", within=1.5)  # long before its ttl
        assert await ids(own_client, "engine") == ["living"]
        await becomes(own_client, "engine", "doomed", "critical")
        assert time.monotonic() - killed >= 1.3, "critical before its ttl (a beat may be up to ttl / 3 old)"
        await becomes(own_client, "engine", "doomed", "gone")
        assert time.monotonic() - killed >= 3.3
        assert await ids(own_client, "engine") == ["living"]


async def test_a_suspect_is_the_last_choice_and_then_said_to_be_one(own_hub: HubProcess, own_client: Client) -> None:
    with InstanceProcess(own_hub.nats_url, "lonely", "only", ttl=20) as only:
        only.kill()
        await becomes(own_client, "lonely", "only", "suspect", within=5)
        answer = await discover(own_client, "lonely")
        assert (len(answer["instances"]), answer["degraded"]) == (1, True)


async def test_a_frozen_process_is_out_after_its_ttl_and_back_with_its_next_beat(
    own_hub: HubProcess, own_client: Client
) -> None:
    with InstanceProcess(own_hub.nats_url, "sleepy", "s1", ttl=1.5) as sleepy:
        sleepy.signal(signal.SIGSTOP)
        await becomes(own_client, "sleepy", "s1", "critical")
        assert await ids(own_client, "sleepy") == []
        sleepy.signal(signal.SIGCONT)
        await becomes(own_client, "sleepy", "s1", "passing")


async def test_a_process_that_ends_in_order_is_gone_at_once(own_hub: HubProcess, own_client: Client) -> None:
    with InstanceProcess(own_hub.nats_url, "polite", "p1") as polite:
        assert polite.stop() == 0
        assert await status_of(own_client, "polite", "p1") == "gone"


async def test_a_permanent_instance_never_expires(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "forever", ttl=0.5, deregister_after=1)
    await asyncio.sleep(3)
    assert await ids(own_client, "forever") == ["forever-1"]


async def test_a_hub_frozen_for_long_expires_nobody_who_lived(own_hub: HubProcess, own_client: Client) -> None:
    with ExitStack() as stack:
        for n in range(3):
            stack.enter_context(InstanceProcess(own_hub.nats_url, "steady", f"s{n}", ttl=2, port=n + 1))
        reports: list[dict[str, Any]] = []

        async def hear(message: Msg) -> None:
            reports.append(json.loads(message.data))

        await own_client.subscribe("hub.health.steady", cb=hear)
        own_hub.interrupt(signal.SIGSTOP)
        await asyncio.sleep(15)
        own_hub.interrupt(signal.SIGCONT)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            answer = await discover(own_client, "steady")
            assert len(answer["instances"]) == 3
            await asyncio.sleep(0.05)
        told = {instance["status"] for report in reports for instance in report["instances"]}
        assert "critical" not in told


async def test_a_restarted_hub_expires_nobody_who_lives_and_everybody_who_died_meanwhile(
    own_hub: HubProcess, own_client: Client
) -> None:
    with (
        InstanceProcess(own_hub.nats_url, "survivor", "s1", ttl=3),
        InstanceProcess(own_hub.nats_url, "casualty", "c1", ttl=3, deregister_after=60) as casualty,
    ):
        own_hub.kill()
        casualty.kill()
        own_hub.start()
        async with connected(own_hub.nats_url) as client:
            assert await status_of(client, "survivor", "s1") in ("passing", "suspect")
            await becomes(client, "casualty", "c1", "critical")
            assert await status_of(client, "survivor", "s1") == "passing"


async def test_what_was_registered_survives_kill_9_of_the_whole_tree(own_hub: HubProcess, own_client: Client) -> None:
    registered = await register(own_client, "durable", version="7")
    own_hub.kill()
    own_hub.start()
    async with connected(own_hub.nats_url) as client:
        answer = await discover(client, "durable")
        assert [i["version"] for i in answer["instances"]] == ["7"]
        assert answer["revision"] == registered["revision"]


async def test_an_instance_that_beats_unknown_is_asked_to_register(own_hub: HubProcess, own_client: Client) -> None:
    asked: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def hear(message: Msg) -> None:
        if not asked.done():
            asked.set_result(message.subject)

    await own_client.subscribe("hub.reregister.>", cb=hear)
    await own_client.publish("hub.heartbeat.ghost.g1")
    assert await asyncio.wait_for(asked, 20) == "hub.reregister.ghost.g1"
    assert await ids(own_client, "ghost", status="any") == []


async def test_a_wiped_store_is_filled_again_by_those_who_live(own_hub: HubProcess, own_client: Client) -> None:
    with InstanceProcess(own_hub.nats_url, "phoenix", "p1", ttl=3):
        await own_client.jetstream().delete_stream("KV_hub-registry")
        began = time.monotonic()
        await asyncio.sleep(3)
        async with connected(own_hub.nats_url) as client:
            await becomes(client, "phoenix", "p1", "passing", within=30 - (time.monotonic() - began))


async def test_an_operator_hears_the_story_on_hub_health(own_hub: HubProcess, own_client: Client) -> None:
    story: list[tuple[str, list[str]]] = []

    async def hear(message: Msg) -> None:
        report = json.loads(message.data)
        if report["service"] == "told":
            line = (report["status"], [instance["status"] for instance in report["instances"]])
            if not story or story[-1] != line:
                story.append(line)

    await own_client.subscribe("hub.health.*", cb=hear)
    await own_client.flush()
    with InstanceProcess(own_hub.nats_url, "told", "t1", ttl=1, deregister_after=1) as told:
        await until(lambda: story, "the first report")
        told.kill()
        await until(lambda: ("critical", []) in story, "the last report")
    assert story == [
        ("passing", ["passing"]),
        ("warning", ["suspect"]),
        ("critical", ["critical"]),
        ("critical", []),
    ]


async def test_the_hub_reports_on_itself_and_on_how_nats_serves_it(own_hub: HubProcess, own_client: Client) -> None:
    told: dict[str, list[str]] = {"hub": [], "nats": []}

    async def hear(message: Msg) -> None:
        report = json.loads(message.data)
        assert [instance["status"] for instance in report["instances"]] == [report["status"]]
        told[report["service"]].append(report["status"])

    await own_client.subscribe("hub.health.*", cb=hear)
    await until(lambda: "passing" in told["hub"] and "passing" in told["nats"], "both are well")
    deadline = time.monotonic() + 30
    while "warning" not in told["nats"]:
        assert time.monotonic() < deadline, "that the registry cannot be followed is not told"
        with suppress(NotFoundError):
            await own_client.jetstream().delete_stream("KV_hub-registry")
    told["nats"].clear()
    await until(lambda: told["nats"] and told["nats"][-1] == "passing", "NATS serves it again")


async def test_a_service_s_own_word_counts_and_it_may_take_it_back(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "frank", "f1", liveness="heartbeat", ttl=60)
    beat = "hub.heartbeat.frank.f1"
    await own_client.publish(beat, b'{"status":"warning","message":"disk is filling","load":0.5}')
    await becomes(own_client, "frank", "f1", "warning")
    answer = await discover(own_client, "frank")
    assert (answer["degraded"], answer["instances"][0]["load"]) == (True, 0.5)
    await own_client.publish(beat, b'{"status":"critical"}')
    await becomes(own_client, "frank", "f1", "critical")
    await own_client.publish(beat, b'{"status":"absurd"}')
    await own_client.publish(beat, b'{"status":"passing"}')
    await becomes(own_client, "frank", "f1", "passing")


async def test_two_replicas_give_the_same_answers_and_one_may_die(tmp_path: Path, nats_server: NatsServer) -> None:
    with ExitStack() as stack:
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=nats_server.url)) for n in range(2)]
        async with connected(nats_server.url) as client:
            for n in range(50):  # whichever replica took the registration, whichever answers: read your own write
                registered = await register(client, f"pair-{n}", port=n + 1)
                answer = await discover(client, f"pair-{n}", min_revision=registered["revision"], wait=10)
                assert len(answer["instances"]) == 1
            answers = [json.dumps(await discover(client, "pair-7")) for _ in range(20)]
            assert len(set(answers)) == 1
            stack.enter_context(InstanceProcess(nats_server.url, "kept", "k1", ttl=2))
            doomed = stack.enter_context(InstanceProcess(nats_server.url, "lost", "l1", ttl=2))
            hubs[0].kill()
            doomed.kill()
            await becomes(client, "lost", "l1", "critical")
            assert await ids(client, "kept") == ["k1"]
            services = (await call(client, "hub.services"))["services"]
            assert len(services) == 52
