"""The HTTP face among callers who are slow, many, or gone, and when it dies itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import uvloop
from nats.aio.client import Client

from hub.app import Hub
from hub.settings import load
from hub.sidecar.descriptors import make_room
from hub.sidecar.server import Sidecar
from hub.telemetry.metrics import Metrics
from tests.calls import call, connected, ids, register
from tests.clients import eventually
from tests.http import Events, address, browsing, problem, watching
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import end

_HEAD = b"POST /discovery/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
_LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def dialled(hub: HubProcess) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection."""
    reader, writer = await asyncio.open_connection(*address(hub))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the hub closes."""
    async with asyncio.timeout(60):
        return await reader.read()


async def closed(reader: asyncio.StreamReader) -> None:
    """Return when the hub has closed the connection, one way or the other, without a word."""
    with suppress(ConnectionError):
        assert await rest(reader) == b""


# --- the slow


async def test_who_sends_too_slowly_is_told_so_and_closed_and_keeps_nobody_waiting(own_hub: HubProcess) -> None:
    async def dribble(writer: asyncio.StreamWriter, text: bytes) -> None:
        for byte in text:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.4)

    async def slow(opening: bytes, more: bytes) -> bytes:
        async with dialled(own_hub) as (reader, writer):
            writer.write(opening)
            dribbling = asyncio.create_task(dribble(writer, more))
            answer = await rest(reader)
            dribbling.cancel()
            await asyncio.gather(dribbling, return_exceptions=True)
            return answer

    began = time.monotonic()
    cases = [
        slow(b"GET /livez HTTP/1.1\r\nX: ", b"y" * 500),
        slow(_LIVEZ + b"GET /livez HTTP/1.1\r\nX: ", b"y" * 500),
        slow(_HEAD, b"{" + b" " * 98),
        slow(b"", b""),
    ]
    slow_ones = asyncio.gather(*cases)
    async with browsing(own_hub) as http:
        while not slow_ones.done():
            assert (await http.get("/livez")).status_code == 200
            await asyncio.sleep(0.1)
    head, second_head, body, silent = await slow_ones
    for answer in (head, body):
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["code"] == "request_timeout"
    assert b"HTTP/1.1 200 OK" in second_head
    assert b"HTTP/1.1 408 " in second_head
    assert silent == b""
    assert time.monotonic() - began < 45
    assert "Traceback" not in own_hub.output()


async def test_requests_sent_all_at_once_are_answered_in_their_order(own_hub: HubProcess) -> None:
    async with dialled(own_hub) as (reader, writer):
        writer.write(
            _LIVEZ + b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        answers = await rest(reader)
    assert re.findall(rb'\{"(alive|ready|service)"', answers) == [b"alive", b"ready", b"service"]


async def test_who_sends_too_much_is_answered_before_and_cut_off_when_it_does_not_stop(own_hub: HubProcess) -> None:
    async with dialled(own_hub) as (reader, writer):
        writer.write(b"POST /discovery/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 30)
        assert answer.startswith(b"HTTP/1.1 413 ")
        with pytest.raises(ConnectionError):
            await _keep_sending(writer)


async def _keep_sending(writer: asyncio.StreamWriter) -> None:
    for _ in range(1000):
        writer.write(b"x" * 100_000)
        await asyncio.wait_for(writer.drain(), 30)


async def test_what_is_no_http_is_refused_without_a_line_in_the_log(own_hub: HubProcess) -> None:
    lines = len(own_hub.output().splitlines())
    upgrade = b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n\r\n"
    for sent, answered in ((b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b" 400 "), (upgrade, b" 200 ")):
        for _ in range(60):
            async with dialled(own_hub) as (reader, writer):
                writer.write(sent)
                assert (await rest(reader)).startswith(b"HTTP/1.1" + answered)
    assert len(own_hub.output().splitlines()) - lines < 50


# --- the many


async def test_a_thousand_connections_are_answered_again_and_again(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "popular")
    assert make_room(1000) == 1000, "this test itself needs as many descriptors: raise `ulimit -Hn`"
    ask = b"GET /discovery/services/popular HTTP/1.1\r\nHost: localhost\r\n\r\n"
    connections = [await asyncio.open_connection(*address(own_hub)) for _ in range(1000)]
    try:
        for _ in range(3):
            for _, writer in connections:
                writer.write(ask)
            for reader, _ in connections:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
                assert head.startswith(b"HTTP/1.1 200 OK")
                length = re.search(rb"content-length: (\d+)", head)
                assert length
                assert b'"popular-1"' in await reader.readexactly(int(length[1]))
            assert await ids(own_client, "popular") == ["popular-1"]
        async with browsing(own_hub) as http:
            assert "hub_http_connections 1001.0" in (await http.get("/metrics")).text
    finally:
        for _, writer in connections:
            writer.transport.abort()
    assert "Traceback" not in own_hub.output()


async def test_one_connection_more_closes_the_one_that_was_idle_for_longest(tmp_path: Path) -> None:
    limit = 16
    with HubProcess(tmp_path / "hub", variables={"HUB_HTTP_MAX_CONNECTIONS": str(limit)}) as hub:
        held = [await asyncio.open_connection(*address(hub)) for _ in range(limit)]
        (first, first_writer), (second, second_writer), (third, _) = held[:3]
        second_writer.write(b"GET /discovery/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await asyncio.wait_for(second.readuntil(b"synced"), 30)
        first_writer.write(_LIVEZ)
        assert await asyncio.wait_for(first.readuntil(b"true}"), 30)
        held.append(await asyncio.open_connection(*address(hub)))
        await closed(third)
        for reader, writer in (held[0], held[-1]):
            writer.write(_LIVEZ)
            assert await asyncio.wait_for(reader.readuntil(b"true}"), 30)
        assert not second.at_eof()
        for _, writer in held:
            writer.transport.abort()


async def test_two_hundred_watch_and_one_more_is_refused(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "before")
    watchers = [await asyncio.open_connection(*address(own_hub)) for _ in range(200)]
    try:
        for _, writer in watchers:
            writer.write(b"GET /discovery/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for reader, _ in watchers:
            assert b'"before-1"' in await asyncio.wait_for(reader.readuntil(b"event: synced"), 60)
        async with browsing(own_hub) as http:
            refused = await http.get("/discovery/watch")
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert (problem(refused)["code"], problem(refused)["retryable"]) == ("overloaded", True)
            await register(own_client, "after")
            for reader, _ in watchers:
                assert b"event: put" in await asyncio.wait_for(reader.readuntil(b'"after-1"'), 60)
            watchers.pop()[1].transport.abort()

            async def is_free() -> bool:
                return "hub_http_watchers 199.0" in (await http.get("/metrics")).text

            await eventually(is_free, "who hung up has left its place")
            async with watching(http) as events:
                assert set(await events.snapshot()) == {"before.before-1", "after.after-1"}
    finally:
        for _, writer in watchers:
            writer.transport.abort()


async def test_a_watcher_that_never_reads_costs_little_and_is_cut_off(own_hub: HubProcess, own_client: Client) -> None:
    large = {"text": "x" * 20_000}
    async with browsing(own_hub) as http, watching(http) as events, dialled(own_hub) as (_, sleeper):
        assert await events.snapshot() == {}
        sleeper.write(b"GET /discovery/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sleeper.transport.pause_reading()  # type: ignore[attr-defined]  # whatever comes stays where it is
        reading = asyncio.create_task(_until_told(events, "2999"))
        before = resident(own_hub.pid)
        for number in range(3000):
            one = number % 50
            await register(own_client, "large", f"l{one}", port=one + 1, metadata=large, version=str(number))
        assert resident(own_hub.pid) - before < 64 << 20  # 60 MB were told

        async def is_gone() -> bool:
            return "hub_http_watchers 1.0" in (await http.get("/metrics")).text

        await eventually(is_gone, "the one that never reads is cut off", within=60)
        async with asyncio.timeout(60):
            await reading
    assert "Traceback" not in own_hub.output()


async def _until_told(events: Events, version: str) -> None:
    while True:
        event = await events.next()
        if event.kind == "put" and event.data["version"] == version:
            return


def resident(pid: int) -> int:
    """Bytes of memory that a process occupies."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_those_who_wait_over_http_and_on_nats_share_the_same_bound(tmp_path: Path) -> None:
    query = "/discovery/services/never?wait=30&min_revision=1000000"
    with HubProcess(tmp_path / "hub", variables={"HUB_LIMITS_IN_FLIGHT": "2"}) as hub:
        async with browsing(hub) as http, connected(hub.nats_url) as client:
            on_nats = asyncio.create_task(
                call(client, "hub.discover", {"name": "never", "wait": 30, "min_revision": 1_000_000}, timeout=60)
            )
            over_http = asyncio.create_task(http.get(query))

            async def both_wait() -> bool:
                return bool((await http.get("/health")).json()["details"]["requests_in_flight"] == 2)

            await eventually(both_wait, "both wait")
            refused = await http.get(query)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert problem(refused)["code"] == "overloaded"
            assert (await http.get("/discovery/services/never")).status_code == 200
            for task in (on_nats, over_http):
                task.cancel()
            await asyncio.gather(on_nats, over_http, return_exceptions=True)


async def test_a_hundred_who_send_as_fast_as_they_can_do_not_fill_the_memory(own_hub: HubProcess) -> None:
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while True:
            with suppress(ConnectionError):  # it is cut off, and comes back
                async with dialled(own_hub) as (_, writer):
                    writer.write(
                        b"POST /discovery/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
                    )
                    while True:
                        writer.write(b" " * 200_000)
                        await writer.drain()
                        sent += 200_000

    before = resident(own_hub.pid)
    async with asyncio.timeout(60):
        flooding = [asyncio.create_task(flood()) for _ in range(100)]
        while sent < 600 << 20:
            assert resident(own_hub.pid) - before < 128 << 20
            await asyncio.sleep(0.02)
        async with browsing(own_hub) as http:
            assert (await http.get("/livez")).status_code == 200
    await end(*flooding)


# --- watching


async def test_a_watcher_that_comes_back_begins_with_a_snapshot(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "staying", "s1")
    await register(own_client, "leaving", "l1")
    async with browsing(own_hub) as http:
        async with watching(http, "?name=staying&name=leaving") as events:
            assert set(await events.snapshot()) == {"staying.s1", "leaving.l1"}
            await register(own_client, "elsewhere")
            await http.delete("/discovery/services/leaving/l1")
            event = await events.next()
            assert (event.kind, event.data) == ("delete", {"name": "leaving", "instance_id": "l1"})
        await register(own_client, "staying", "s2", port=9)
        async with watching(http, "?name=staying,leaving", **{"last-event-id": str(event.id)}) as events:
            assert set(await events.snapshot()) == {"staying.s1", "staying.s2"}
        refused = await http.get("/discovery/watch?name=UPPER")
        assert (refused.status_code, problem(refused)["field"]) == (400, "name[0]")


async def test_a_change_that_was_only_heard_is_told_too(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "beating", "b1")
    async with browsing(own_hub) as http, watching(http) as events:
        await events.snapshot()
        await own_client.publish("hub.heartbeat.beating.b1", b'{"status":"critical","message":"out of memory"}')
        event = await events.next()
        assert (event.kind, event.data["status"]) == ("put", "critical")


async def test_after_a_restart_watchers_find_what_there_is(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "lasting")
    async with browsing(own_hub) as http:
        async with watching(http) as events:
            assert set(await events.snapshot()) == {"lasting.lasting-1"}
            own_hub.kill()
            with pytest.raises((ConnectionError, httpx.TransportError)):
                await events.next()
        await asyncio.to_thread(own_hub.start)
        async with watching(http) as events:
            assert set(await events.snapshot()) == {"lasting.lasting-1"}


# --- the hub ends, NATS is away, the face dies


async def test_a_hub_that_stops_lets_go_of_those_who_watch_and_wait(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "some")
    async with browsing(own_hub) as http, watching(http) as events:
        await events.snapshot()
        waiting = asyncio.create_task(http.get("/discovery/services/some?wait=60&min_revision=1000000"))

        async def waits() -> bool:
            return bool((await http.get("/health")).json()["details"]["requests_in_flight"])

        await eventually(waits, "it waits")
        own_hub.interrupt(signal.SIGTERM)
        answer = await waiting
        assert (answer.status_code, problem(answer)["retryable"]) == (503, True)
        with pytest.raises((ConnectionError, httpx.TransportError)):
            await events.next()
        assert await asyncio.to_thread(own_hub.wait) == 0
    assert "Traceback" not in own_hub.output()


async def test_without_nats_what_is_known_is_told_and_what_would_change_it_refused(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url) as hub:
        async with connected(nats_server.url) as client:
            await register(client, "known")
        async with browsing(hub) as http:
            nats_server.kill()

            async def is_told() -> bool:
                return (await http.get("/health")).status_code == 503

            await eventually(is_told, "NATS is missed")
            found = (await http.get("/discovery/services/known")).json()
            assert [instance["instance_id"] for instance in found["instances"]] == ["known-1"]
            beat = await http.put("/discovery/services/known/known-1/heartbeat")
            assert (beat.status_code, problem(beat)["code"]) == (503, "unavailable")
            assert beat.headers["retry-after"] == "1"
            message = {"name": "new", "host": "h", "port": 1, "liveness": "permanent"}
            new = await http.post("/discovery/register", json=message)
            assert new.status_code in (503, 504)
            assert problem(new)["retryable"] is True


def test_the_hub_lives_when_its_http_face_dies_and_the_face_comes_back(nats_server: NatsServer) -> None:
    uvloop.run(_die_twice(nats_server))  # as the hub's own process does


async def _die_twice(nats_server: NatsServer) -> None:
    settings, metrics = load(overrides={"http.port": 0}), Metrics()
    async with (
        Hub(settings, [nats_server.url], metrics=metrics) as hub,
        Sidecar(hub, settings.http, metrics) as sidecar,
        connected(nats_server.url) as client,
        httpx.AsyncClient(base_url=sidecar.url, timeout=20) as http,
    ):
        await register(client, "some")
        for _ in range(2):
            async with watching(http) as events:
                await events.snapshot()
                deafen(int(sidecar.url.rpartition(":")[2]))
                with pytest.raises((ConnectionError, httpx.TransportError)):
                    await events.next()
            assert await ids(client, "some") == ["some-1"]

            async def is_back() -> bool:
                try:
                    return (await http.get("/livez")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(is_back, "it listens again on the same port")
            await eventually(lambda: _tells(http, "some.some-1"), "it tells of changes again")
        assert hub.alive
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def _tells(http: httpx.AsyncClient, key: str) -> bool:
    async with watching(http) as events:
        return key in await events.snapshot()


def deafen(port: int) -> None:
    """Shut the listening socket of this process down behind the back of whoever listens on it."""
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if not entry.readlink().name.startswith("socket:"):
                continue
            twin = socket.socket(fileno=os.dup(int(entry.name)))
        except OSError:
            continue  # it was only the one that the folder was read through
        with twin:
            listens = twin.family == socket.AF_INET and twin.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if listens and twin.getsockname()[1] == port:
                twin.shutdown(socket.SHUT_RDWR)
                return
    raise AssertionError(f"nobody listens on {port}")
