"""Callers that mean harm, or behave as if: floods, waiters without end, messages as large as they get."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.calls import call, connected, discover, ids, refusal, register
from tests.http import address
from tests.httptarget import HttpTarget
from tests.hubs import HubProcess
from tests.raw import published, send
from tests.servers import NatsServer
from tests.waiting import until

_END = "9999-12-31T23:59:59.999999Z"
GARBAGE = (
    b"",
    b"null",
    b"[]",
    b"\x00",
    b"\xff\xfe{}",
    b'{"name":',
    b'{"name":5,garbage',
    b'{"name":"a\\n","host":"h","port":1}',
    b'{"name":"a","host":"h","port":1e400}',
    b'{"name":"a","host":"h","port":1' + b"0" * 400 + b"}",
    b'{"name":"a","host":"h","port":1,"ttl":NaN}',
    b'{"name":"a","host":"h","port":1,"metadata":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b'{"name":"' + b"x" * 65_000 + b'"}',
    b"[" * 65_000,
    '{"name":"аdmin","host":"h","port":1}'.encode(),
)


async def test_a_flood_of_garbage_is_refused_message_by_message_and_leaves_no_trace(
    own_hub: HubProcess, own_client: Client
) -> None:
    await register(own_client, "honest")
    subjects = ("hub.register", "hub.deregister", "hub.discover", "hub.services", "hub.heartbeat.a.b")
    started = asyncio.Event()

    async def flood() -> None:
        async with connected(own_hub.nats_url) as attacker:
            for round_number in range(400):
                for subject in subjects:
                    for payload in GARBAGE:
                        await attacker.publish(subject, payload)
                started.set()
                if not round_number % 20:
                    await attacker.flush(30)
            await attacker.flush(30)

    flooding = asyncio.create_task(flood())
    await started.wait()
    answered = 0
    while not flooding.done():
        assert await ids(own_client, "honest") == ["honest-1"]
        answered += 1
    await flooding
    assert answered > 0
    listed = await call(own_client, "hub.services", timeout=30)
    assert [row["name"] for row in listed["services"]] == ["honest"]
    for payload in GARBAGE:
        if payload:
            assert (await refusal(own_client, "hub.register", payload))["retryable"] is False, payload[:60]
    assert "Traceback" not in own_hub.output()


async def test_fifty_thousand_bad_messages_do_not_make_the_hub_stand_still(
    own_hub: HubProcess, own_client: Client
) -> None:
    async with connected(own_hub.nats_url) as attacker:
        for number in range(50_000):
            await attacker.publish("hub.register", b'{"name":5}')
            if not number % 5000:
                await attacker.flush(30)
        await attacker.flush(30)
        assert (await call(own_client, "hub.services", timeout=30))["services"] == []
    output = own_hub.output()
    assert "connection lost" not in output
    assert "Traceback" not in output
    assert 0 < output.count("message refused") < 1000
    assert "omitted_before" in output


async def test_waiting_discoveries_are_bounded_and_keep_nobody_else_waiting(
    own_hub: HubProcess, own_client: Client
) -> None:
    await register(own_client, "popular")
    query = {"name": "popular", "min_revision": 1_000_000, "wait": 10}
    waiting = [asyncio.create_task(call(own_client, "hub.discover", query, timeout=60)) for _ in range(1500)]
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=15)
    error = next(iter(done)).result()["error"]
    assert (error["code"], error["retryable"]) == ("overloaded", True)
    for number in range(20):
        assert "revision" in await register(own_client, f"meanwhile-{number}")
        assert len(await ids(own_client, "popular")) == 1
    replies = await asyncio.gather(*waiting)
    refused = [reply for reply in replies if "error" in reply]
    assert {reply["error"]["code"] for reply in refused} == {"overloaded"}
    assert 0 < len(refused) < len(replies)
    assert all(len(reply["instances"]) == 1 for reply in replies if "error" not in reply)
    assert "never awaited" not in own_hub.output()


async def test_a_busy_service_does_not_wake_those_who_wait_for_a_later_revision(
    own_hub: HubProcess, own_client: Client
) -> None:
    first = await register(own_client, "busy", "b0")
    target = first["revision"] + 600
    query = {"name": "busy", "min_revision": target, "wait": 60}
    waiting = [asyncio.create_task(call(own_client, "hub.discover", query, timeout=90)) for _ in range(500)]
    for start in range(0, 700, 50):
        await asyncio.gather(
            *(register(own_client, "busy", f"b{n % 20}", port=n + 1, version=str(n)) for n in range(start, start + 50))
        )
    replies = await asyncio.gather(*waiting)
    assert all(reply["revision"] >= target for reply in replies)


async def test_services_that_come_and_go_leave_no_memory_behind(own_hub: HubProcess, own_client: Client) -> None:
    async def cycles(start: int, count: int) -> None:
        for first in range(start, start + count, 100):
            names = [f"passing-{number}" for number in range(first, first + 100)]
            await asyncio.gather(*(register(own_client, name) for name in names))
            leave = [{"name": name, "instance_id": f"{name}-1"} for name in names]
            await asyncio.gather(*(call(own_client, "hub.deregister", message) for message in leave))
            ask = [{"name": f"{name}-never", "min_revision": 10**9, "wait": 0.001} for name in names]
            await asyncio.gather(*(call(own_client, "hub.discover", message) for message in ask))

    await cycles(0, 1500)
    before = resident(own_hub.pid)
    await cycles(1500, 3000)
    assert resident(own_hub.pid) - before < 20 << 20  # what is remembered of an empty service is less than 2 KB
    assert (await call(own_client, "hub.services"))["services"] == []


def resident(pid: int) -> int:
    """Bytes of memory that a process occupies."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def test_a_server_with_small_messages_refuses_what_no_reply_could_hold(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats", config="max_payload: 8KB") as server,
        HubProcess(tmp_path / "hub", nats_url=server.url) as hub,
    ):
        async with connected(server.url) as client:
            for number in range(12):
                text = {"text": "x" * 3000}
                await register(client, "large", f"l{number:02}", port=number + 1, metadata=text)
            message = {"name": "large", "instance_id": "l99", "host": "h", "port": 1, "metadata": {"text": "x" * 7000}}
            error = await refusal(client, "hub.register", message)
            assert (error["code"], error["retryable"]) == ("payload_too_large", False)
            seen: list[str] = []
            after = ""
            for _ in range(20):
                answer = await discover(client, "large", after=after)
                seen += [instance["instance_id"] for instance in answer["instances"]]
                after = answer["next"]
                if after is None:
                    break
            assert seen == [f"l{number:02}" for number in range(12)]
        assert "Traceback" not in hub.output()


async def test_pages_go_on_behind_an_instance_that_is_gone(own_hub: HubProcess, own_client: Client) -> None:
    for number in range(9):
        await register(own_client, "paged", f"p{number}", port=number + 1, tags=["even" if number % 2 == 0 else "odd"])
    first = await discover(own_client, "paged", limit=3, tags=["even"])
    assert ([one["instance_id"] for one in first["instances"]], first["next"]) == (["p0", "p2", "p4"], "p4")
    for gone in ("p4", "p0"):
        await call(own_client, "hub.deregister", {"name": "paged", "instance_id": gone})
    await register(own_client, "paged", "p45", port=99, tags=["even"])
    rest = await discover(own_client, "paged", limit=3, tags=["even"], after=first["next"])
    assert ([one["instance_id"] for one in rest["instances"]], rest["next"]) == (["p45", "p6", "p8"], None)


async def test_the_health_of_a_large_service_in_churn_is_told_and_does_not_eat_the_hub(
    own_hub: HubProcess, own_client: Client
) -> None:
    for start in range(0, 3000, 100):
        await asyncio.gather(
            *(register(own_client, "crowd", f"c{n:05}", port=n + 1) for n in range(start, start + 100))
        )
    reports: list[Msg] = []

    async def on_report(message: Msg) -> None:
        reports.append(message)

    await own_client.subscribe("hub.health.crowd", cb=on_report)
    await own_client.flush()
    began, slowest = time.monotonic(), 0.0
    while time.monotonic() - began < 4:
        number = len(reports) % 3000
        asked = time.monotonic()
        await own_client.publish("hub.heartbeat.crowd.c00000", b'{"status":"warning"}')
        await own_client.publish("hub.heartbeat.crowd.c00000", b'{"status":"passing"}')
        await register(own_client, "crowd", f"c{number:05}", port=number + 1, version=str(asked))
        slowest = max(slowest, time.monotonic() - asked)
    assert slowest < 2.0
    assert 2 <= len(reports) <= 40, "told, but not fifty times a second"
    await own_client.publish("hub.heartbeat.crowd.c00007", b'{"status":"critical","message":"the last word"}')

    def said() -> bool:
        told: dict[str, Any] = json.loads(reports[-1].data)
        return any(one["instance_id"] == "c00007" and one["status"] == "critical" for one in told["instances"])

    await until(said, "the state as it is in the end")


async def test_a_reply_subject_of_the_hubs_own_is_not_spoken_to(own_hub: HubProcess, own_client: Client) -> None:
    heard: list[str] = []

    async def on_any(message: Msg) -> None:
        heard.append(message.subject)

    await own_client.subscribe("hub.heartbeat.>", cb=on_any)
    await own_client.subscribe("hub.register", cb=on_any)
    await own_client.flush()
    for reply in (b"hub.heartbeat.a.b", b"hub.register", b"$KV.hub-registry.a.b", b"$JS.API.STREAM.DELETE.HUB_EVENTS"):
        await send(own_hub.nats_url, published(b"hub.services", b"{}", reply=reply))
    assert (await call(own_client, "hub.services"))["services"] == []
    assert heard == []


async def test_findings_of_a_stranger_harm_neither_the_looking_nor_the_log(
    own_hub: HubProcess, own_client: Client
) -> None:
    async with HttpTarget() as target:
        check = {"type": "http", "name": "web", "interval": 1.0, "timeout": 0.5}
        await register(own_client, "engine", port=target.port, liveness="probe", checks=[check])
        for since, output in (("2026-01-31T00:00:00", ""), ("2026-01-31T00:00:00Z", "x" * 60_000), (_END, "told")):
            told = {"name": "web", "status": "critical", "output": output, "since": since}
            await own_client.publish("hub.check.engine.engine-1", json.dumps({"by": "x", "states": [told]}).encode())
        for _ in range(5000):
            await own_client.publish("hub.check.engine.engine-1", b"{")
            await own_client.publish("hub.replica.nobody", b"{")
        asked = len(target.asked["/"])
        await until(lambda: len(target.asked["/"]) >= asked + 4, "it is looked at as before")
        assert await ids(own_client, "engine") == ["engine-1"]
        state = (await call(own_client, "hub.health", {"name": "engine"}))["services"][0]["instances"][0]["checks"][0]
        assert (state["status"], state["output"]) == ("passing", "200 OK")
    assert "Traceback" not in own_hub.output()
    assert "NATS error" not in own_hub.output()
    assert own_hub.output().count("not understood") < 100


@pytest.mark.parametrize("opening", [b"", b"GET /livez HTTP/1.1\r\nHost: a\r\nX: "], ids=["silent", "half a request"])
async def test_idle_http_connections_do_not_shut_the_probes_out(tmp_path: Path, opening: bytes) -> None:
    limit = 200
    with HubProcess(tmp_path / "hub", variables={"HUB_HTTP_MAX_CONNECTIONS": str(limit)}) as hub:
        held = []
        try:
            for _ in range(limit + 100):
                _, writer = await asyncio.open_connection(*address(hub))
                writer.write(opening)
                held.append(writer)
            await _probes_are_answered(hub)
            async with connected(hub.nats_url) as client:
                assert "revision" in await register(client, "meanwhile")
            assert len(list(Path(f"/proc/{hub.pid}/fd").iterdir())) < limit + 100
        finally:
            for writer in held:
                writer.transport.abort()
        assert "Traceback" not in hub.output()


async def _probes_are_answered(hub: HubProcess) -> None:
    async with httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http:
        assert (await http.get("/livez")).status_code == 200
        assert (await http.head("/livez")).status_code == 200
        assert (await http.options("/livez")).status_code == 405
        assert (await http.request("BREW", "/metrics")).status_code == 405
        assert (await http.get("/health", headers={"x-large": "x" * 200_000})).status_code in (400, 431)
        assert (await http.get("/readyz")).status_code == 200


async def test_an_idle_http_connection_is_closed_after_a_while(own_hub: HubProcess) -> None:
    reader, writer = await asyncio.open_connection(*address(own_hub))
    async with asyncio.timeout(40):
        with_error = False
        try:
            assert await reader.read() == b""
        except ConnectionError:
            with_error = True
    writer.close()
    assert with_error or reader.at_eof()
