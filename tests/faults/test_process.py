"""The hub as a process: how it starts, what it says when it cannot, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import httpx
import nats.errors
import pytest
from nats.aio.client import Client
from prometheus_client.parser import text_string_to_metric_families

from tests.calls import connected, discover, register
from tests.hubs import HubProcess, environment, hub_command
from tests.servers import NatsServer
from tests.waiting import until

ENDS_WITHIN = 5.0
SECRETS = {
    "DATABASE_URL": "postgresql://hub:hidden-word@localhost/platform",
    "CACHE_URL": "redis://:hidden-word@localhost:6379/0",
}


def run_hub(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """A `hub` command that is expected to end by itself."""
    return subprocess.run(
        [hub_command(), *arguments], capture_output=True, text=True, timeout=60, env=environment(**changes), check=False
    )


def one_clear_line(result: subprocess.CompletedProcess[str]) -> str:
    """The single line on stderr of a command that failed as it should."""
    assert result.returncode not in (0, -9), result
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("hub: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def servers_of(data_dir: Path) -> list[int]:
    """The processes that run a nats-server on this data directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue  # it ended while we looked
            if "nats-server" in command and str(data_dir) in command:
                found.append(int(entry.name))
    return found


def test_a_taken_nats_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_clear_line(run_hub("up", "--nats-port", str(port), "--http-port", "0", "--data-dir", str(tmp_path)))
    assert str(port) in line
    assert "--nats-port" in line


def test_a_taken_http_port_is_one_clear_line_and_leaves_no_server_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_clear_line(run_hub("up", "--nats-port", "0", "--http-port", str(port), "--data-dir", str(tmp_path)))
    assert str(port) in line
    assert "--http-port" in line
    assert servers_of(tmp_path) == []


def test_a_data_dir_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    line = one_clear_line(run_hub("up", "--nats-port", "0", "--http-port", "0", "--data-dir", str(blocked / "data")))
    assert str(blocked) in line


def test_a_data_dir_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as running:
        data = str(running.data_dir)
        line = one_clear_line(run_hub("up", "--nats-port", "0", "--http-port", "0", "--data-dir", data))
        assert data in line


def test_a_server_that_is_too_old_is_one_clear_line(tmp_path: Path) -> None:
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho 'nats-server: v2.9.10'\n")
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    arguments = ("up", "--nats-port", "0", "--http-port", "0", "--data-dir", str(tmp_path / "d"))
    line = one_clear_line(run_hub(*arguments, "--nats-server", str(old)))
    assert "2.9.10" in line
    assert "2.12" in line


def test_an_absent_nats_is_one_clear_line() -> None:
    result = run_hub("serve", "--nats", "nats://user:secret@127.0.0.1:1", "--http-port", "0")
    line = one_clear_line(result)
    assert "127.0.0.1:1" in line
    assert "secret" not in line
    assert "--nats" in line
    assert "warning" not in result.stderr, "every failed attempt is told"


def test_a_nats_that_refuses_the_login_is_one_clear_line(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", config="authorization { user: hub, password: right }") as server:
        url = server.url.replace("nats://", "nats://hub:mistaken@")
        line = one_clear_line(run_hub("serve", "--nats", url, "--http-port", "0"))
    assert "Authorization" in line or "refuses a login" in line, "which of them depends on what the kernel delivers"
    assert "mistaken" not in line


def test_a_system_account_that_lets_nobody_in_is_one_clear_line(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats") as server:
        result = run_hub(
            "serve", "--nats", server.url, "--http-port", "0", HUB_NATS_SYSTEM_URL="nats://sys:secret@127.0.0.1:1"
        )
    line = one_clear_line(result)
    assert "HUB_NATS_SYSTEM_URL" in line
    assert "secret" not in result.stderr
    assert "warning" not in result.stderr


async def test_an_outage_of_nats_is_told_once_and_not_with_every_attempt_to_reconnect(tmp_path: Path) -> None:
    attempts: list[str] = []

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.append("")
        writer.close()

    with NatsServer(tmp_path / "nats") as server, HubProcess(tmp_path / "hub", nats_url=server.url) as hub:
        server.kill()
        async with await asyncio.start_server(hang_up, "127.0.0.1", server.port):
            await until(lambda: len(attempts) >= 12, "attempts to reconnect")
        server.start()
        await until(lambda: "NATS connection is back" in hub.output())
        assert hub.output().count("NATS connection lost") == 1
        assert hub.output().count("NATS error") <= 5


def test_credentials_that_are_not_there_are_one_clear_line(tmp_path: Path, nats_server: NatsServer) -> None:
    absent = str(tmp_path / "absent.creds")
    line = one_clear_line(run_hub("serve", "--nats", nats_server.url, "--http-port", "0", HUB_NATS_CREDENTIALS=absent))
    assert absent in line
    assert "nats.credentials" in line


def test_a_nats_without_jetstream_is_one_clear_line(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", jetstream=False) as server:
        line = one_clear_line(run_hub("serve", "--nats", server.url, "--http-port", "0"))
    assert "JetStream" in line


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_in_order(tmp_path: Path, sig: signal.Signals) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        assert servers_of(hub.data_dir) != []
        began = time.monotonic()
        hub.interrupt(sig)
        assert hub.wait() == 0
        assert time.monotonic() - began < ENDS_WITHIN + 3  # a busy machine adds its own
        assert servers_of(hub.data_dir) == []
        assert "Traceback" not in hub.output()


async def test_requests_in_flight_are_answered_while_it_ends(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        async with connected(hub.nats_url) as client:
            await register(client, "asked")
            revision = (await discover(client, "asked"))["revision"]
            waiting = asyncio.create_task(discover(client, "asked", min_revision=revision + 1, wait=50))
            burst = [asyncio.create_task(register(client, f"burst-{n}", port=n + 1)) for n in range(200)]
            await asyncio.gather(*burst[:20])  # they are under way
            hub.interrupt(signal.SIGTERM)
            assert len((await asyncio.wait_for(waiting, 10))["instances"]) == 1
            replies = await asyncio.gather(*burst, return_exceptions=True)
            refused = [reply for reply in replies if isinstance(reply, BaseException)]
            assert refused == [], "requests sent before the signal were not answered"
        assert hub.wait() == 0


def test_a_killed_hub_leaves_no_server_behind(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub")
    hub.start()
    assert servers_of(hub.data_dir) != []
    hub.kill()
    deadline = time.monotonic() + 20
    while servers_of(hub.data_dir):
        assert time.monotonic() < deadline, "the nats-server outlives its hub"
        time.sleep(0.05)


async def test_a_killed_nats_server_is_started_again_and_nothing_is_lost(
    own_hub: HubProcess, own_client: Client
) -> None:
    await register(own_client, "kept")
    [server] = servers_of(own_hub.data_dir)
    os.kill(server, signal.SIGKILL)
    await until(lambda: servers_of(own_hub.data_dir) not in ([], [server]), "a new nats-server")
    async with connected(own_hub.nats_url, max_reconnect_attempts=-1) as client:
        deadline = time.monotonic() + 30
        while True:
            try:
                answer = await discover(client, "kept")
                break
            except (nats.errors.Error, TimeoutError):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
        assert len(answer["instances"]) == 1
        await register(client, "new-after-the-crash")


async def test_the_sidecar_tells_how_the_hub_is(own_hub: HubProcess, own_client: Client) -> None:
    await register(own_client, "seen")
    async with httpx.AsyncClient(base_url=own_hub.http_url, timeout=10) as http:
        health = (await http.get("/health")).json()
        assert health["status"] == "healthy"
        assert health["registered_services"] == 1
        assert abs(health["timestamp"] - time.time() * 1000) < 60_000
        assert health["checks"] == {
            "database": "not_configured",
            "cache": "not_configured",
            "nats": "healthy",
            "kafka": "not_configured",
            "hub": "healthy",
        }
        assert (await http.get("/livez")).status_code == (await http.get("/readyz")).status_code == 200
        assert (await http.get("/nowhere")).status_code == 404


async def test_the_metrics_tell_what_the_hub_has_and_does(own_hub: HubProcess, own_client: Client) -> None:
    wanted = {
        ("hub_requests_total", "ok", "hub.register"): 1.0,
        ("hub_instances", "passing"): 1.0,
        ("hub_services",): 1.0,
        ("hub_leader",): 1.0,
        ("hub_in_flight_requests",): 0.0,
        ("hub_events_dropped_total",): 0.0,
    }
    await register(own_client, "counted")
    deadline = time.monotonic() + 30
    async with httpx.AsyncClient(base_url=own_hub.http_url, timeout=10) as http:
        while (found := samples((await http.get("/metrics")).text)) != found | wanted:
            assert time.monotonic() < deadline, {key: found.get(key) for key in wanted}
            await asyncio.sleep(0.05)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """The samples of a scrape by name and the values of their labels, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_ready_line_is_one_line_with_both_urls(own_hub: HubProcess) -> None:
    lines = [line for line in own_hub.output().splitlines() if " ready: " in line]
    assert len(lines) == 1
    assert own_hub.nats_url in lines[0]
    assert own_hub.http_url in lines[0]


def test_json_logs_are_json_and_hold_no_secret(tmp_path: Path) -> None:
    with HubProcess(
        tmp_path / "hub", arguments=("--log-format", "json", "--log-level", "debug"), variables=SECRETS
    ) as hub:
        hub.stop()
        lines = [line for line in hub.output().splitlines() if " ready: " not in line]
    events = [json.loads(line) for line in lines]
    assert any(event["event"] == "hub started" for event in events)
    given = next(event["given"] for event in events if event["event"] == "settings")
    assert given["log.level"] == "'debug' (command line)", "which settings were given, and where"
    assert not re.search(r"\bSU[A-Z2-7]{50,}", "\n".join(lines)), "an nkey seed is in the log"
    assert "hidden-word" not in hub.output()
