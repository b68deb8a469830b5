"""`hub watch`: what changes is shown as it changes, through every loss of the connection."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.calls import call, connected, register
from tests.commands import Running, run
from tests.hubs import HubProcess
from tests.instance import InstanceProcess
from tests.proxy import Proxy
from tests.servers import NatsServer

pytestmark = [
    pytest.mark.xdist_group("cli-watch"),
    pytest.mark.open_only("about the processes of commands"),
]


async def test_a_watch_tells_the_life_of_an_instance(hub: HubProcess) -> None:
    with Running("watch", "tale", nats=hub.nats_url) as watch:
        watch.wait_for("watching tale", watch.err)
        async with connected(hub.nats_url) as client:
            await register(client, "tale", "t1", version="1.0")
            assert watch.wait_for("registered", watch.out).endswith("registered at http://127.0.0.1:8000")
            await register(client, "tale", "t1", version="1.1", weight=5)
            assert watch.wait_for("updated", watch.out).endswith("updated: version, weight")
            await call(client, "hub.deregister", {"name": "tale", "instance_id": "t1", "reason": "deployed\x1b[2Janew"})
            assert watch.wait_for("gone", watch.out).endswith("gone  (deployed\\x1b[2Janew)")
        watch.interrupt()
        assert watch.wait() == 130
    assert "no instance of 'tale' is registered" in "".join(watch.err)
    assert "Traceback" not in "".join(watch.err)
    assert len(watch.out) == 3


def test_a_watch_tells_that_a_killed_process_is_suspect_critical_and_gone(hub: HubProcess) -> None:
    nats = hub.nats_url
    with InstanceProcess(nats, "mortal", "m1", ttl=1.5, deregister_after=2.0) as instance:
        with Running("watch", "mortal", "--json", "--count", "3", nats=nats) as watch:
            watch.wait_for("watching mortal", watch.err)
            instance.kill()
            assert watch.wait() == 0
        told = [json.loads(line) for line in watch.out]
    assert [(change["what"], change["before"], change["status"]) for change in told] == [
        ("status", "passing", "suspect"),
        ("status", "suspect", "critical"),
        ("gone", "critical", None),
    ]
    assert all(change["service"] == "mortal" and change["instance_id"] == "m1" for change in told)
    assert told[1]["reason"]
    assert told[2]["reason"] == "critical for more than 2 s"
    assert told[0]["revision"] < told[1]["revision"] < told[2]["revision"]


async def test_a_watch_ends_after_the_count_it_was_given(hub: HubProcess) -> None:
    with Running("watch", "counted", "--count", "2", nats=hub.nats_url) as watch:
        watch.wait_for("watching counted", watch.err)
        async with connected(hub.nats_url) as client:
            for number in range(3):
                await register(client, "counted", f"c{number}", port=8000 + number)
        assert watch.wait() == 0
    assert len(watch.out) == 2


async def test_a_watch_begins_with_what_is_there(hub: HubProcess) -> None:
    nats = hub.nats_url
    async with connected(nats) as client:
        await register(client, "there", "t1")
        with Running("watch", "there", "--count", "1", nats=nats) as one, Running("watch", nats=nats) as every:
            one.wait_for("watching there", one.err)
            every.wait_for("watching every service", every.err)
            await register(client, "there", "t2", port=8001)
            assert one.wait() == 0
            every.wait_for("there/t2", every.out)
    assert one.out[0].split()[:3] == ["SERVICE", "INSTANCE", "STATUS"]
    assert one.out[1].split()[:3] == ["there", "t1", "passing"]
    assert "there/t2" in one.out[2]
    assert every.out[0].split()[:2] == ["SERVICE", "INSTANCES"]


async def test_with_json_what_is_there_is_told_only_when_asked_for(hub: HubProcess) -> None:
    nats = hub.nats_url
    async with connected(nats) as client:
        await register(client, "json", "j1")
        arguments = ("watch", "json", "--json", "--count", "1")
        with Running(*arguments, nats=nats) as plain, Running(*arguments, "--initial", nats=nats) as full:
            for watch in (plain, full):
                watch.wait_for("watching json", watch.err)
            await register(client, "json", "j2", port=8001)
            assert (plain.wait(), full.wait()) == (0, 0)
    assert [json.loads(line)["what"] for line in plain.out] == ["registered"]
    assert [json.loads(line)["what"] for line in full.out] == ["present", "registered"]
    assert all(json.loads(line)["notice"] for line in plain.err)


def test_a_reader_that_goes_away_ends_the_watch_without_a_word(hub: HubProcess) -> None:
    nats = hub.nats_url
    reading, writing = os.pipe()
    with Running("watch", "pipe", "--no-initial", nats=nats, stdout=writing) as watch:
        os.close(writing)
        watch.wait_for("watching pipe", watch.err)
        os.close(reading)
        assert run("register", "pipe", "--host", "h", "--port", "1", nats=nats).returncode == 0
        assert watch.wait() == 1
    assert len(watch.err) == 1


async def test_a_watch_tells_what_it_missed_while_its_connection_was_lost(hub: HubProcess) -> None:
    port = int(hub.nats_url.rpartition(":")[2])
    async with connected(hub.nats_url) as client, Proxy(port) as proxy:
        await register(client, "missed", "m1")
        await register(client, "missed", "m2", port=8001)
        with Running("watch", "missed", nats=proxy.url) as watch:
            await asyncio.to_thread(watch.wait_for, "watching missed", watch.err)
            proxy.stall()
            proxy.cut()
            await asyncio.to_thread(watch.wait_for, "lost NATS", watch.err)
            await call(client, "hub.deregister", {"name": "missed", "instance_id": "m1"})
            await register(client, "missed", "m3", port=8002)
            proxy.resume()
            await asyncio.to_thread(watch.wait_for, "missed/m3", watch.out)
            await register(client, "missed", "m4", port=8003)
            await asyncio.to_thread(watch.wait_for, "missed/m4", watch.out)
            watch.interrupt()
            assert await asyncio.to_thread(watch.wait) == 130
    told = [" ".join(line.split()[1:]) for line in watch.out[3:]]
    assert told == [
        "missed/m1 gone (while this watch was not connected)",
        "missed/m3 registered at http://127.0.0.1:8002 (while this watch was not connected)",
        "missed/m4 registered at http://127.0.0.1:8003",
    ]
    assert "reconnected; reading what changed meanwhile" in "".join(watch.err)


async def test_a_watch_survives_a_restart_of_nats(nats_server: NatsServer, tmp_path: Path) -> None:
    with (
        HubProcess(tmp_path, nats_url=nats_server.url),
        Running("watch", "stay", nats=nats_server.url) as watch,
    ):
        watch.wait_for("watching stay", watch.err)
        nats_server.restart()
        watch.wait_for("reconnected", watch.err)
        async with connected(nats_server.url) as client:
            registered = {}
            while "revision" not in registered:  # the hub may take a moment longer than the watch to be back
                registered = await register(client, "stay", "s1", timeout=60)
        watch.wait_for("stay/s1", watch.out)
        watch.interrupt()
        assert watch.wait() == 130
    assert "Traceback" not in "".join(watch.err)
