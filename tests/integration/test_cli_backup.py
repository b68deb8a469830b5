"""The verbs that write a backup and put it back, against a real hub whose store is wiped in between."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from nats.js.errors import KeyNotFoundError

from tests.calls import connected
from tests.commands import run, run_json
from tests.hubs import HubProcess
from tests.waiting import until

pytestmark = [
    pytest.mark.xdist_group("cli"),
    pytest.mark.open_only("about the processes of commands"),
]


async def test_what_operators_want_and_the_configuration_survive_a_wiped_store(tmp_path: Path) -> None:
    file = str(tmp_path / "hub.backup")
    folder = tmp_path / "hub"
    kept = "       2  hub-config\n       1  hub-desired\n       0  hub-secrets\n       0  hub-access\n"
    with HubProcess(folder) as hub:
        async with connected(hub.nats_url) as client:
            await client.jetstream().publish("$KV.hub-config._all", _record("_all", {"level": 1}))
            await client.jetstream().publish("$KV.hub-config._all", _record("_all", {"level": 2}))
        drained = run("drain", "ledger", "l1", "--unregistered", "--reason", "rack move", nats=hub.nats_url)
        assert drained.returncode == 0, drained.stderr
        told = run_json("backup", file, nats=hub.nats_url)
        assert {name: kept["entries"] for name, kept in told["buckets"].items()} == {
            "hub-config": 2,
            "hub-desired": 1,
            "hub-secrets": 0,
            "hub-access": 0,
        }
        assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
        again = run("backup", file, nats=hub.nats_url)
        assert (again.returncode, again.stdout) == (1, "")
        assert "is there already; name another, or replace it with --force" in again.stderr
        assert run("backup", file, "--force", nats=hub.nats_url).stdout == kept
    shutil.rmtree(folder)
    with HubProcess(folder) as hub:
        async with connected(hub.nats_url) as client:
            config = await client.jetstream().key_value("hub-config")
            with pytest.raises(KeyNotFoundError):
                await config.get("_all")
            done = run("restore", file, nats=hub.nats_url)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == kept
            assert (await config.get("_all")).value == _record("_all", {"level": 2})
            await until(lambda: "rack move" in run("desired", "ledger", nats=hub.nats_url).stdout)
        refused = run("restore", file, nats=hub.nats_url)
        assert refused.returncode == 1
        assert "is not empty; nothing was restored" in refused.stderr
        assert run("restore", file, "--force", nats=hub.nats_url).returncode == 0


def test_a_file_that_is_no_backup_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "hub.backup"
    file.write_text("hello")
    done = run("restore", str(file), nats="nats://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"hub: {file}: is no backup, or not whole (File is not a zip file)\n"


def test_a_backup_that_cannot_be_written_says_why(hub: HubProcess) -> None:
    done = run("backup", "/nowhere/hub.backup", nats=hub.nats_url)
    assert done.returncode == 1
    assert done.stderr.startswith("hub: /nowhere/hub.backup: cannot be written (No such file or directory)")


def _record(scope: str, values: dict[str, object]) -> bytes:
    return json.dumps({"scope": scope, "kind": "put", "at": "2026-01-02T03:04:05Z", "values": values}).encode()
