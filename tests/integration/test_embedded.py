"""The hub's own nats-server, with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nats
import nats.errors
import pytest

from hub.embedded import EmbeddedServer, binary
from hub.errors import StartupError, Unauthenticated
from hub.settings import Settings, load
from hub.transport.connection import Credentials, connect
from tests.calls import connected
from tests.servers import free_port, nats_server_binary
from tests.waiting import until


def settings(folder: Path, **more: object) -> Settings:
    return load(
        overrides={"data_dir": str(folder), "nats.port": 0, **{k.replace("__", "."): v for k, v in more.items()}}
    )


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and only not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def program(folder: Path, text: str, name: str = "nats-server") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def storage_report(server: EmbeddedServer) -> dict[str, Any]:
    """How the server itself says that it stores."""
    client = await nats.connect(server.url, nkeys_seed_str=server.system_seed)
    try:
        reply = await client.request("$SYS.REQ.SERVER.PING.JSZ", b"{}", timeout=5)
        return dict(json.loads(reply.data)["data"]["config"])
    finally:
        await client.close()


class Held(NamedTuple):
    """A process that holds an embedded server."""

    process: subprocess.Popen[str]
    url: str
    pid: int

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)


@contextmanager
def held(folder: Path, how: str = "whole") -> Iterator[Held]:
    """An embedded server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.embedding", str(folder), how],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Held(process, told["url"], told["pid"])
        finally:
            process.kill()


async def startup_error(settings: Settings) -> str:
    with pytest.raises(StartupError) as caught:
        async with EmbeddedServer(settings):
            pass
    return caught.value.message


# --- what it offers


async def test_a_client_without_credentials_has_jetstream_and_no_system_account(tmp_path: Path) -> None:
    async with EmbeddedServer(settings(tmp_path)) as server, connected(server.url) as client:
        jetstream = client.jetstream()
        await jetstream.add_stream(name="S", subjects=["s.>"])
        assert (await jetstream.publish("s.1", b"x")).seq == 1
        assert client.max_payload == 1024 * 1024
        with pytest.raises(nats.errors.NoRespondersError):
            await client.request("$SYS.REQ.SERVER.PING", b"", timeout=5)


@pytest.mark.parametrize(("sync", "always", "interval"), [("always", True, 120), ("interval", False, 2)])
async def test_the_server_says_that_it_syncs_as_it_was_told_to(
    tmp_path: Path, sync: str, always: bool, interval: int
) -> None:
    async with EmbeddedServer(settings(tmp_path, nats__sync=sync)) as server:
        report = await storage_report(server)
    assert report.get("sync_always", False) is always
    assert report["sync_interval"] == interval * 1_000_000_000


async def test_every_acknowledged_write_is_synced_unless_told_otherwise(tmp_path: Path) -> None:
    async with EmbeddedServer(settings(tmp_path)) as server:
        assert (await storage_report(server))["sync_always"] is True


async def test_the_system_seed_opens_the_system_account_and_is_written_nowhere(tmp_path: Path) -> None:
    async with EmbeddedServer(settings(tmp_path)) as server:
        client = await nats.connect(server.url, nkeys_seed_str=server.system_seed)
        reply = await client.request("$SYS.REQ.SERVER.PING", b"", timeout=5)
        assert b'"server"' in reply.data
        await client.close()
        for path in tmp_path.rglob("*"):
            assert not path.is_file() or server.system_seed.encode() not in path.read_bytes(), path
        assert server.system_seed not in repr(vars(server))


async def test_a_seed_of_an_earlier_start_opens_nothing(tmp_path: Path) -> None:
    async with EmbeddedServer(settings(tmp_path)) as server:
        earlier = server.system_seed
    async with EmbeddedServer(settings(tmp_path)) as server:
        with pytest.raises(Unauthenticated):
            await connect(server.url, name="test", credentials=Credentials(nkey_seed=earlier), timeout=3)


async def test_its_folder_and_configuration_are_for_the_owner_alone(tmp_path: Path) -> None:
    async with EmbeddedServer(settings(tmp_path)):
        assert stat.S_IMODE((tmp_path / "nats").stat().st_mode) == 0o700
        for name in ("server.conf", "server.log"):
            assert stat.S_IMODE((tmp_path / "nats" / name).stat().st_mode) == 0o600


async def test_a_folder_with_an_awkward_name_works(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" \\x é #{1}'
    async with EmbeddedServer(settings(folder)) as server, connected(server.url) as client:
        await client.jetstream().add_stream(name="S", subjects=["s"])
        assert (folder / "nats" / "jetstream").is_dir()


async def test_a_large_log_is_put_aside_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "server.log").write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    async with EmbeddedServer(settings(tmp_path)):
        assert (tmp_path / "nats" / "server.log").stat().st_size < 100_000
        assert (tmp_path / "nats" / "server.log.1").stat().st_size > 10_000_000


# --- how it ends


async def test_leaving_it_leaves_no_process_and_frees_the_folder(tmp_path: Path) -> None:
    for _ in range(2):
        async with EmbeddedServer(settings(tmp_path)) as server:
            pid = server.pid
            assert pid is not None
            assert alive(pid)
        assert not alive(pid)


async def test_a_server_that_does_not_listen_to_reason_is_killed(tmp_path: Path) -> None:
    async with EmbeddedServer(settings(tmp_path)) as server:
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    assert not alive(pid)


@pytest.mark.parametrize("how", ["kernel", "pipe"])
async def test_no_server_outlives_a_killed_parent(tmp_path: Path, how: str) -> None:
    with held(tmp_path, how) as holder:
        assert alive(holder.pid)
        assert os.getsid(holder.pid) != os.getsid(holder.process.pid)
        holder.kill()
        await until(lambda: not alive(holder.pid), "the server died with its parent")


async def test_the_watching_process_ends_when_both_were_killed(tmp_path: Path) -> None:
    with held(tmp_path, "pipe") as holder:
        session = os.getsid(holder.pid)
        others = [pid for pid in _session(session) if pid != holder.pid]
        assert len(others) == 1
        os.kill(holder.pid, signal.SIGKILL)
        holder.kill()
        await until(lambda: not any(alive(pid) for pid in others), "the watching process ended too")


def _session(session: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[3]) == session:
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


async def test_data_survive_the_killing_of_hub_and_server(tmp_path: Path) -> None:
    with held(tmp_path) as holder:
        async with connected(holder.url) as client:
            jetstream = client.jetstream()
            await jetstream.add_stream(name="S", subjects=["s"])
            for _ in range(10):
                await jetstream.publish("s", b"kept")
        holder.kill()
    async with EmbeddedServer(settings(tmp_path)) as server, connected(server.url) as client:
        state = (await client.jetstream().stream_info("S")).state
        assert state.messages == 10


# --- what keeps it from starting


async def test_a_taken_port_is_named_with_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = await startup_error(settings(tmp_path, nats__port=port))
    assert message == (
        f"port {port} on 127.0.0.1 is taken: stop what listens there, "
        "or choose another with --nats-port (0 = any free one)"
    )
    async with EmbeddedServer(settings(tmp_path)):
        pass  # the failure left nothing behind that is in the way


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = await startup_error(settings(tmp_path / "file" / "data"))
    assert message.startswith(f"{tmp_path}/file/data: cannot be written (Not a directory)")
    assert "--data-dir" in message


async def test_a_folder_where_the_server_cannot_write_is_told_with_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "jetstream").write_text("in the way")
    message = await startup_error(settings(tmp_path))
    assert message.startswith("nats-server did not start: ")
    assert "jetstream" in message.lower()
    assert str(tmp_path / "nats" / "server.log") in message


async def test_a_second_hub_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with held(tmp_path) as holder:
        message = await startup_error(settings(tmp_path))
        assert message == (
            f"{tmp_path}: another hub (process {holder.process.pid}) runs on this folder: "
            "stop it, or choose another folder with --data-dir"
        )
        assert alive(holder.pid)


async def test_an_old_server_is_refused_with_version_and_advice(tmp_path: Path) -> None:
    old = program(tmp_path, 'echo "nats-server: v2.9.10"')
    message = await startup_error(settings(tmp_path / "data", nats__server=str(old)))
    assert message.startswith(f"{old} is nats-server 2.9.10, but 2.12 or newer is needed; install nats-server 2.12")


async def test_what_is_no_server_is_refused(tmp_path: Path) -> None:
    for text in ("exit 3", "echo hello", "echo v2.15.1; exit 1"):
        path = program(tmp_path, text)
        assert "it tells no version" in await startup_error(settings(tmp_path / "data", nats__server=str(path)))
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x7fELF nothing")
    garbage.chmod(0o755)
    message = await startup_error(settings(tmp_path / "data", nats__server=str(garbage)))
    assert message.startswith(f"{garbage}: cannot be run as nats-server (Exec format error); install")
    assert "no such program" in await startup_error(settings(tmp_path / "data", nats__server="/nowhere/nats-server"))


def test_one_on_the_path_is_taken_unless_it_is_too_old(tmp_path: Path) -> None:
    new = program(tmp_path / "new", 'echo "nats-server: v2.99.0"')
    old = program(tmp_path / "old", 'echo "nats-server: v2.11.9"')
    assert binary.find(search_path=str(new.parent)) == str(new)
    assert binary.find(search_path=str(old.parent)) == nats_server_binary()
    assert binary.find(search_path=str(tmp_path / "empty")) == nats_server_binary()


# --- while it runs


async def test_a_server_that_dies_comes_back_on_the_same_port_with_its_data(tmp_path: Path) -> None:
    async with EmbeddedServer(settings(tmp_path)) as server:
        url, seed, pid = server.url, server.system_seed, server.pid
        assert pid is not None
        async with connected(url) as client:
            await client.jetstream().add_stream(name="S", subjects=["s"])
            await client.jetstream().publish("s", b"x")
        os.kill(pid, signal.SIGKILL)
        await until(lambda: server.pid not in (None, pid), "it was started again")
        assert (server.url, server.system_seed) == (url, seed)
        async with connected(url) as client:
            assert (await client.jetstream().stream_info("S")).state.messages == 1


async def test_a_server_that_keeps_failing_is_given_up(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    fickle = program(
        tmp_path,
        f'[ "$1" = --version ] && echo "nats-server: v2.15.1" && exit\n'
        f'[ -e "{broken}" ] && echo "nats-server: out of luck" && exit 1\n'
        f'exec "{nats_server_binary()}" "$@"',
    )
    async with EmbeddedServer(settings(tmp_path / "data", nats__server=str(fickle))) as server:
        broken.write_text("")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(StartupError, match=r"failed 5 times in a row; its log says why: .*server\.log"):
            async with asyncio.timeout(60):
                await server.wait_failed()
        assert server.pid is None


async def test_leaving_while_it_is_started_again_leaves_no_process(tmp_path: Path) -> None:
    async with EmbeddedServer(settings(tmp_path, nats__port=free_port())) as server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: server.pid is None, "its death was noticed")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(server.url.rpartition(":")[2]))) != 0


async def test_a_start_that_is_cancelled_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = program(
        tmp_path, '[ "$1" = --version ] && echo "nats-server: v2.15.1" && exit\necho $$ > pid\nexec sleep 60'
    )
    monkeypatch.chdir(tmp_path)
    server = EmbeddedServer(settings(tmp_path / "data", nats__server=str(slow)))
    starting = asyncio.create_task(server.__aenter__())
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "it was started")
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not alive(int((tmp_path / "pid").read_text()))
