"""The verbs of `hub key` and `hub access`, against a real hub. A key never stands on a command line."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from nats.aio.client import Client

from hub.cli.group import hub as command
from hub.identity.apikeys import parse
from tests.calls import call
from tests.commands import run, run_json, run_on_terminal
from tests.hubs import HubProcess

pytestmark = [
    pytest.mark.xdist_group("cli"),
    pytest.mark.open_only("about the processes of commands"),
]


def test_a_key_is_printed_once_with_a_word_that_it_is_never_shown_again(hub: HubProcess) -> None:
    done = run("key", "create", "cli-partner", "--scope", "discover", nats=hub.nats_url)
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    parts = parse(key)
    assert parts is not None
    assert done.stdout == f"{key}\n", "alone on stdout, for a script"
    assert f"the key {parts[0]} of external:cli-partner is never shown again" in done.stderr
    assert parts[1] not in done.stderr
    shown = run("key", "list", nats=hub.nats_url).stdout
    assert "external:cli-partner" in shown
    assert parts[1] not in shown


def test_a_key_goes_into_a_file_of_its_owner_and_never_over_another(hub: HubProcess, tmp_path: Path) -> None:
    file = tmp_path / "key"
    told = run_json("key", "create", "cli-filed", "--out", str(file), "--ttl", "60", nats=hub.nats_url)
    assert told["key"] == ""
    parts = parse(file.read_text().strip())
    assert parts is not None
    assert parts[0] == told["id"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = run("key", "create", "cli-filed-again", "--out", str(file), nats=hub.nats_url)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    names = [key["name"] for key in run_json("key", "list", nats=hub.nats_url)["keys"]]
    assert "cli-filed-again" not in names, "no key is made that would be lost"


async def test_a_key_is_rotated_and_revoked_and_restored(hub: HubProcess, client: Client) -> None:
    old = run_json("key", "create", "cli-rotated", "--expires", "2030-01-31", nats=hub.nats_url)
    assert old["expires"] == "2030-01-31T00:00:00Z"
    done = run("key", "rotate", old["id"], "--overlap", "60", nats=hub.nats_url)
    new = parse(done.stdout.strip())
    assert new is not None
    assert f"the key {old['id']} is valid until 2" in done.stderr
    done = run("key", "revoke", new[0], "--author", "ada", "--reason", "leaked", nats=hub.nats_url)
    assert done.stdout == f"revoked key:{new[0]}\n"
    states = {key["id"]: key["state"] for key in (await call(client, "hub.key.list"))["keys"]}
    assert (states[old["id"]], states[new[0]]) == ("valid", "revoked")
    assert run("access", "restore", "--credential", f"key:{new[0]}", nats=hub.nats_url).returncode == 0
    assert run("access", "restore", "--credential", f"key:{new[0]}", nats=hub.nats_url).returncode == 3


def test_callers_are_revoked_listed_and_restored(hub: HubProcess) -> None:
    done = run("access", "revoke", "service:cli-engine", "--reason", "retired", nats=hub.nats_url)
    assert done.stdout == "revoked service:cli-engine\n"
    assert "service:cli-engine" in run_on_terminal("access", "revoked", nats=hub.nats_url)
    told = run_json("access", "revoked", nats=hub.nats_url)["revoked"]
    assert [each["who"] for each in told if each["reason"] == "retired"] == ["service:cli-engine"]
    assert run_json("access", "restore", "service:cli-engine", nats=hub.nats_url)["who"] == "service:cli-engine"


@pytest.mark.parametrize(
    "arguments",
    [
        ("access", "revoke"),
        ("access", "revoke", "engine"),
        ("access", "revoke", "service:engine", "--credential", "nkey:U"),
        ("access", "restore", "--credential", "hk_a1B2c3D4e5_SECRETSECRET"),
        ("access", "revoke", "--credential", "key:hk_a1B2c3D4e5_SECRETSECRET"),
        ("key", "revoke", "hk_a1B2c3D4e5_SECRETSECRET"),
        ("key", "rotate", "short"),
        ("key", "create", "x", "--role", "root"),
        ("key", "create", "x", "--ttl", "0"),
        ("key", "create", "x", "--out", "/no/such/folder/key"),
        ("key", "create"),
    ],
)
def test_wrong_usage_is_told_without_asking_the_hub_and_a_whole_key_is_not_repeated(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(command, [*arguments, "--nats", "nats://127.0.0.1:1"])
    assert done.exit_code == 2
    assert "SECRETSECRET" not in done.output
