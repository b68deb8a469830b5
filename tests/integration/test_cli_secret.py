"""The verbs of `hub secret`, against a real hub. A value never stands on a command line."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from hub.vault.keys import decoded
from tests import enforcing
from tests.calls import call
from tests.commands import PATIENCE, Typing, run, run_json
from tests.hubs import HubProcess, environment, hub_command

pytestmark = [
    pytest.mark.xdist_group("cli"),
    pytest.mark.open_only("about the processes of commands"),
]

VALUE = "correct horse"


def piped(hub: HubProcess, value: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [hub_command(), "secret", *arguments],
        env=environment(NATS_URL=hub.nats_url, **enforcing.variables(hub.nats_url)),
        input=value,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


async def value_of(client: Client, name: str) -> Any:
    told = await call(client, "hub.secret.resolve", {"service": "reader", "names": [name]})
    return told["secrets"][name]["value"]


@pytest.mark.parametrize(
    ("sent", "options", "kept"),
    [
        (b"correct horse\n", [], "correct horse"),
        (b"correct horse\r\n", [], "correct horse"),
        (b"correct horse", [], "correct horse"),
        (b"two\nlines\n\n", [], "two\nlines\n"),
        (b"correct horse\n", ["--exact"], "correct horse\n"),
    ],
)
async def test_a_value_is_piped_in_without_the_line_end_after_it(
    hub: HubProcess, client: Client, sent: bytes, options: list[str], kept: str
) -> None:
    done = piped(hub, sent, "put", "piped", "--reader", "read*", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"stored piped as revision ")
    assert await value_of(client, "piped") == kept
    assert VALUE.encode() not in done.stdout + done.stderr


async def test_a_value_comes_from_a_file(hub: HubProcess, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text(f"{VALUE}\n")
    told = run_json("secret", "put", "filed", "--reader", "*", "--file", str(file), nats=hub.nats_url)
    assert told["name"] == "filed"
    assert await value_of(client, "filed") == VALUE


async def test_a_value_is_asked_for_twice_and_not_shown(hub: HubProcess, client: Client) -> None:
    with Typing("secret", "put", "typed", "--reader", "*", nats=hub.nats_url) as command:
        command.wait_for("Value of typed: ")
        command.type(VALUE)
        command.wait_for("Repeat for confirmation: ")
        command.type(VALUE)
        assert command.wait() == 0
        assert "stored typed" in command.shown
        assert VALUE not in command.shown
    assert await value_of(client, "typed") == VALUE


def test_there_is_no_way_to_give_a_value_as_an_argument(hub: HubProcess) -> None:
    for arguments in (["put", "argued", VALUE], ["put", "argued", "--value", VALUE]):
        assert piped(hub, b"x", *arguments).returncode == 2


@pytest.mark.parametrize(
    ("sent", "why"),
    [(b"", b"got none"), (b"\n", b"got none"), (b"\xff\xfe", b"UTF-8"), (b"x" * 17_000, b"at most 16384 bytes")],
)
def test_what_is_no_value_is_refused(hub: HubProcess, sent: bytes, why: bytes) -> None:
    done = piped(hub, sent, "put", "refused", "--reader", "*")
    assert done.returncode == 2
    assert why in done.stderr


def test_a_new_secret_needs_a_reader_and_an_old_one_keeps_them(hub: HubProcess) -> None:
    done = piped(hub, b"one", "put", "reread")
    assert done.returncode == 1
    assert b"readers: expected who may read reread" in done.stderr
    assert piped(hub, b"one", "put", "reread", "--reader", "a", "--reader", "b-*").returncode == 0
    assert piped(hub, b"two", "put", "reread", "--author", "ada", "--reason", "rotated").returncode == 0
    [line] = [line for line in run("secret", "list", nats=hub.nats_url).stdout.splitlines() if "reread" in line]
    assert line.split()[:3] == ["reread", "a,", "b-*"]
    assert line.endswith("ada     rotated") or ("ada" in line and line.endswith("rotated"))
    [told] = [s for s in run_json("secret", "list", nats=hub.nats_url)["secrets"] if s["name"] == "reread"]
    assert (told["readers"], told["author"], told["reason"]) == (["a", "b-*"], enforcing.author("ada"), "rotated")


def test_a_secret_is_deleted_when_asked_and_not_while_it_is_used(hub: HubProcess) -> None:
    assert piped(hub, b"one", "put", "gone", "--reader", "*").returncode == 0
    set_ = run("config", "set", "leaver", 'db={"$secret":"gone"}', nats=hub.nats_url)
    assert set_.returncode == 0, set_.stderr
    assert piped(hub, b"", "delete", "gone").returncode == 2, "nobody can be asked"
    used = piped(hub, b"", "delete", "gone", "--yes")
    assert used.returncode == 1
    assert b"the configuration of leaver refers to it" in used.stderr
    with Typing("secret", "delete", "gone", "--force", nats=hub.nats_url) as command:
        command.wait_for("Delete the secret gone?")
        command.type("y")
        assert command.wait() == 0
    assert piped(hub, b"", "delete", "gone", "--yes").returncode == 3


def test_everything_is_encrypted_with_the_current_key_already(hub: HubProcess) -> None:
    assert piped(hub, b"one", "put", "keyed", "--reader", "*").returncode == 0
    told = run_json("secret", "rekey", nats=hub.nats_url)
    assert (told["rekeyed"], told["unreadable"]) == (0, [])
    done = run("secret", "rekey", nats=hub.nats_url)
    assert done.stdout == f"0 encrypted anew with the key {told['key_id']}\n"


def test_a_fresh_key_is_printed_without_asking_anybody() -> None:
    one, two = (run("secret", "keygen", nats="nats://127.0.0.1:1") for _ in range(2))
    assert (one.returncode, one.stderr) == (0, "")
    assert len(decoded(one.stdout)) == 32
    assert one.stdout != two.stdout


def test_a_name_that_is_none_is_wrong_usage(hub: HubProcess) -> None:
    done = piped(hub, b"one", "put", "no.name", "--reader", "*")
    assert done.returncode == 2
    assert b"expected 1..128 of A-Z, a-z, 0-9, '_' and '-'" in done.stderr
