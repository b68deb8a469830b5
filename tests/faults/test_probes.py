"""Hubs that share the looking: nobody forgets a check, nobody storms, and nobody is told ill without being it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.calls import call, connected, register
from tests.httptarget import (
    HttpTarget,
    Respond,
    broken,
    endless,
    flipping,
    hanging,
    redirecting,
    trickling,
    well,
)
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import until

FLEET = 90


async def figure(hub: HubProcess, name: str) -> float:
    """What a hub says of itself in its metrics, all labels added up."""
    text = await asyncio.to_thread(lambda: urlopen(f"{hub.http_url}/metrics", timeout=10).read().decode())
    return sum(map(float, re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)))


async def figures(hubs: list[HubProcess], name: str) -> list[float]:
    return list(await asyncio.gather(*(figure(hub, name) for hub in hubs)))


async def until_owned(hubs: list[HubProcess], total: int, *, within: float = 30.0) -> list[float]:
    """Return once these hubs make so many checks in all, each of them some; how many each makes."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        owned = await figures(hubs, "hub_probes_owned")
        known = await figures(hubs, "hub_replicas")
        if sum(owned) == total and all(owned) and set(known) == {len(hubs)}:
            return owned
        assert asyncio.get_running_loop().time() < deadline, (owned, known)
        await asyncio.sleep(0.1)


async def probed(client: Client, target: HttpTarget, instance: str, *, service: str = "engine", **check: Any) -> Any:
    """Register an instance with an HTTP check of its own path, every second unless the check says otherwise."""
    http = {"type": "http", "name": "web", "path": f"/{instance}", "interval": 1.0, "timeout": 0.5, **check}
    return await register(client, service, instance, port=target.port, liveness="probe", checks=[http])


async def checks_of(client: Client, service: str = "engine") -> dict[str, dict[str, Any]]:
    """The state of the first check of each instance, as whichever hub answers knows it."""
    services = (await call(client, "hub.health", {"name": service}))["services"]
    instances = services[0]["instances"] if services else []
    return {each["instance_id"]: each["checks"][0] for each in instances if each["checks"]}


async def until_status(client: Client, instance: str, status: str, *, within: float = 30.0) -> dict[str, Any]:
    deadline = asyncio.get_running_loop().time() + within
    while True:
        state = (await checks_of(client)).get(instance)
        if state is not None and state["status"] == status:
            return state
        assert asyncio.get_running_loop().time() < deadline, state
        await asyncio.sleep(0.1)


async def changes(client: Client, service: str = "engine") -> list[tuple[str, str]]:
    """Collects every change of a check that is stored, as (instance, status), from now on."""
    seen: list[tuple[str, str]] = []
    last: dict[str, str] = {}

    async def on_delta(message: Msg) -> None:
        if not message.data:
            return
        record = json.loads(message.data)
        for state in record.get("check_states", []):
            if last.get(record["instance_id"], "passing") != state["status"]:
                seen.append((record["instance_id"], state["status"]))
            last[record["instance_id"]] = state["status"]

    await client.subscribe(f"hub.delta.registry.{service}.*", cb=on_delta)
    await client.flush()
    return seen


async def all_pass(client: Client, amount: int = FLEET) -> None:
    deadline = asyncio.get_running_loop().time() + 30
    while [state["status"] for state in (await checks_of(client)).values()] != ["passing"] * amount:
        assert asyncio.get_running_loop().time() < deadline, await checks_of(client)
        await asyncio.sleep(0.2)


async def test_the_checks_of_a_killed_hub_are_taken_over_without_a_storm_or_a_false_word(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(3)]
        async with HttpTarget() as target, connected(server.url) as client:
            await asyncio.gather(*(probed(client, target, f"e{n}", interval=2.0) for n in range(FLEET)))
            owned = await until_owned(hubs, FLEET)
            assert all(FLEET / 6 <= share <= FLEET / 2 for share in owned)
            await all_pass(client)
            seen = await changes(client)
            loop = asyncio.get_running_loop()
            killed = loop.time()
            hubs.pop().kill()
            await until_owned(hubs, FLEET, within=15.0)
            await asyncio.sleep(5.0)
            asked = target.count(since=killed)
            seconds = loop.time() - killed
            assert set(asked) == {f"/e{n}" for n in range(FLEET)}
            assert max(asked.values()) <= seconds / 2.0 + 2
            taken_over = [when for path in asked for when in target.asked[path] if when >= killed]
            busiest = max(sum(start <= when < start + 0.5 for when in taken_over) for start in taken_over)
            assert busiest <= FLEET / 2, "at the regular rate it is a quarter of them in half a second"
            assert seen == []
            assert (await checks_of(client))["e0"]["status"] == "passing"


async def test_a_hub_that_joins_or_leaves_moves_no_more_than_it_must(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with HttpTarget() as target, connected(server.url) as client:
            await asyncio.gather(*(probed(client, target, f"e{n}", interval=2.0) for n in range(FLEET)))
            before = await until_owned(hubs, FLEET)
            await all_pass(client)
            seen = await changes(client)
            late = stack.enter_context(HubProcess(tmp_path / "late", nats_url=server.url))
            after = await until_owned([*hubs, late], FLEET)
            assert all(then <= first for first, then in zip(before, after, strict=False))
            for hub in hubs:
                assert re.search(r"work shared out.* replicas=3 taken=0", hub.output())
            assert late.stop() == 0
            assert await until_owned(hubs, FLEET, within=3.0) == before, "a farewell is not waited for"
            assert seen == []


async def test_a_frozen_hub_says_nothing_false_when_it_wakes(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with HttpTarget() as target, connected(server.url) as client:
            await asyncio.gather(*(probed(client, target, f"e{n}") for n in range(FLEET)))
            await until_owned(hubs, FLEET)
            await all_pass(client)
            seen = await changes(client)
            for _ in range(3):
                hubs[0].interrupt(signal.SIGSTOP)
                await asyncio.sleep(1.5)
                hubs[0].interrupt(signal.SIGCONT)
                await asyncio.sleep(1.0)
            hubs[0].interrupt(signal.SIGSTOP)
            await until_owned(hubs[1:], FLEET)
            target.behaviours["/e7"] = broken
            await until(lambda: ("e7", "critical") in seen, "the other hub finds it")
            hubs[0].interrupt(signal.SIGCONT)
            await until_owned(hubs, FLEET)
            await asyncio.sleep(3.0)
            assert seen == [("e7", "critical")]


async def test_whatever_an_endpoint_does_the_hub_says_so_and_goes_on(tmp_path: Path) -> None:
    odd: dict[str, tuple[Respond, str]] = {
        "hangs": (hanging, "no answer within"),
        "trickles": (trickling, "no answer within"),
        "redirects": (redirecting, "302 Found"),
        "breaks": (broken, "503 Service Unavailable"),
    }
    with HubProcess(tmp_path / "hub") as hub:
        async with HttpTarget() as target, connected(hub.nats_url) as client:
            target.behaviours |= {f"/{name}": respond for name, (respond, _) in odd.items()}
            target.behaviours["/pours"] = endless
            for name in (*odd, "pours"):
                await probed(client, target, name, expect_body="never to be found" if name == "pours" else "")
            await probed(client, target, "fine")
            for name, (_, words) in odd.items():
                assert words in (await until_status(client, name, "critical"))["output"]
            assert "64 KiB" in (await until_status(client, "pours", "critical"))["output"]
            assert (await until_status(client, "fine", "passing"))["output"] == "200 OK"
            found = await call(client, "hub.discover", {"name": "engine"})
            assert [instance["instance_id"] for instance in found["instances"]] == ["fine"]
            assert "Traceback" not in hub.output()


async def test_one_that_comes_back_and_registers_again_is_looked_at_soon_whichever_hub_it_asks(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with HttpTarget() as target, connected(server.url) as client:
            rare: dict[str, Any] = {"interval": 600.0, "failures_before_critical": 1}
            target.default = broken
            await asyncio.gather(*(probed(client, target, f"e{n}", **rare) for n in range(8)))
            await until_owned(hubs, 8)
            for number in range(8):
                await until_status(client, f"e{number}", "critical")
            target.default = well
            await asyncio.gather(*(probed(client, target, f"e{n}", **rare) for n in range(8)))
            await all_pass(client, 8)


async def test_an_endpoint_that_flips_each_second_is_damped_and_said_to_flap(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        async with HttpTarget() as target, connected(hub.nats_url) as client:
            seen = await changes(client)
            target.behaviours["/flips"] = flipping
            await probed(client, target, "flips", failures_before_critical=1)
            deadline = asyncio.get_running_loop().time() + 60
            while not (state := (await checks_of(client)).get("flips", {})).get("output", "").startswith("flapping"):
                assert asyncio.get_running_loop().time() < deadline, state
                await asyncio.sleep(0.2)
            assert state["flapping"] is True
            told = len(seen)
            began = len(target.asked["/flips"])
            await asyncio.sleep(12.0)
            assert len(target.asked["/flips"]) - began >= 6
            assert len(seen) - told <= 5


async def test_half_of_a_fleet_that_fails_at_once_is_doubted_first_and_then_believed(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        async with HttpTarget() as target, connected(hub.nats_url) as client:
            await asyncio.gather(*(probed(client, target, f"e{n}", interval=3.0) for n in range(30)))
            await all_pass(client, 30)
            reports: list[dict[str, Any]] = []

            async def on_report(message: Msg) -> None:
                reports.append(json.loads(message.data))

            await client.subscribe("hub.health.hub", cb=on_report)
            seen = await changes(client)
            target.default = broken
            await until(lambda: any("instances that passed fail" in each["reason"] for each in reports), "it doubts")
            assert seen == []
            while (found := await call(client, "hub.discover", {"name": "engine"}))["degraded"] is not True:
                assert seen == [], "it believes already, and never answered so"
            assert len(found["instances"]) == 30
            await until(lambda: len(seen) == 30, "it believes")
            await until(lambda: reports[-1]["reason"] == "", "it doubts no more")


async def test_a_service_reports_on_its_own_checks_with_its_beats(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        for number in range(2):
            stack.enter_context(HubProcess(tmp_path / f"hub{number}", nats_url=server.url))
        async with connected(server.url) as client:
            checks = [{"type": "ttl", "name": "queue", "ttl": 2.0}]
            await register(client, "engine", "e1", liveness="heartbeat", ttl=60, checks=checks)
            assert (await until_status(client, "e1", "passing"))["output"] == "not reported on yet"
            report = {"checks": {"queue": {"status": "warning", "message": "80 % full"}}}
            await client.publish("hub.heartbeat.engine.e1", json.dumps(report).encode())
            state = await until_status(client, "e1", "warning")
            assert state["output"] == "reported by the service: 80 % full"
            await client.publish("hub.heartbeat.engine.e1")  # alive, and nothing said of the queue
            state = await until_status(client, "e1", "critical")
            assert state["output"].startswith("no report for")
            deadline, agreed = asyncio.get_running_loop().time() + 30, 0
            while agreed < 20:  # whichever hub is asked
                agreed = agreed + 1 if (await checks_of(client))["e1"]["status"] == "critical" else 0
                assert asyncio.get_running_loop().time() < deadline
            await client.publish("hub.heartbeat.engine.e1", b'{"checks":{"queue":{"status":"passing"}}}')
            await until_status(client, "e1", "passing")


async def test_five_thousand_checks_are_an_even_murmur(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url)) for n in range(2)]
        async with HttpTarget() as target, connected(server.url) as client:
            many = iter(range(5000))

            async def enrol() -> None:
                for number in many:
                    await probed(client, target, f"e{number}", service=f"s{number // 50}", interval=30.0, timeout=3.0)

            await asyncio.gather(*(enrol() for _ in range(32)))
            await until_owned(hubs, 5000, within=60)
            loop = asyncio.get_running_loop()
            await until(lambda: len(target.asked) == 5000, "each is looked at", within=60)
            since = loop.time()
            await asyncio.sleep(10.0)
            recent = [when - since for asked in target.asked.values() for when in asked if when >= since]
            slices = [sum(n <= when < n + 2 for when in recent) for n in range(0, 10, 2)]
            assert max(slices) <= 2.5 * 5000 / 15, slices
            assert sum(await figures(hubs, "hub_probes_skipped_total")) <= 50
            assert min(await figures(hubs, "hub_probes_owned")) > 2000
