"""Every block of README.md, run from the first to the last against a real hub, as a reader would."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.commands import run
from tests.documents import README, ROOT, Block, blocks
from tests.hubs import HubProcess, environment, hub_command
from tests.keys import fresh_key

PATIENCE = 60.0
_HTTP = "http://127.0.0.1:7000"

pytestmark = [
    pytest.mark.xdist_group("readme"),
    pytest.mark.open_only("typed at a hub that is open"),
]


class Reader:
    """Somebody with a shell, who types what the README says.

    Args:
        hub: The hub that is running; NATS_URL says where.
        folder: Where to be.
        nats: The `nats` command to use; None says the same through nats-py.
    """

    def __init__(self, hub: HubProcess, folder: Path, nats: str | None) -> None:
        self._hub = hub
        self._folder = folder
        commands = folder / "bin"
        commands.mkdir()
        (commands / "nats").write_text(f'#!/bin/sh\nexec {nats or f"{sys.executable} -m tests.nats_command"} "$@"\n')
        (commands / "nats").chmod(0o755)
        if shutil.which("curl") is None:
            (commands / "curl").write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.curl_command "$@"\n')
            (commands / "curl").chmod(0o755)
        path = os.pathsep.join([str(commands), str(Path(hub_command()).parent), os.environ["PATH"]])
        self._environment = environment(
            NATS_URL=hub.nats_url, PATH=path, PYTHONPATH=str(ROOT), HOME=str(folder), XDG_CONFIG_HOME=str(folder)
        )

    def run(self, block: Block) -> list[str]:
        """Do what a block says; returns what each of its commands printed."""
        match block.language:
            case "sh":
                return [self._type(command) for command in block.commands]
            case "python":
                return [self._run([sys.executable, "-c", block.text])]
            case "toml":
                return [self._save(block.text)]
            case _:
                raise AssertionError(f"no test knows how to run a block of {block.language!r}")

    def _save(self, text: str) -> str:
        """Save a file that is called as its first line says."""
        name = text.partition("\n")[0].removeprefix("# ")
        assert name.endswith(".toml"), f"nobody knows where to save {name!r}"
        (self._folder / name).write_text(text)
        return ""

    def _type(self, command: str) -> str:
        match command.split():
            case ["make", *_]:
                return ""  # that the target exists, and what is behind it, has tests of its own
            case ["hub", "watch", *_]:
                return self._go_on(command, "watching every service", self._cause_a_change, "registered at http://")
            case ["hub", "serve" | "up", *_]:
                return self._go_on(command, "ready: NATS")
            case ["nats", "subscribe" | "sub", *_]:
                return self._go_on(command, "Received on")
            case ["curl", *_] if _HTTP in command:
                return self._run(["sh", "-c", command.replace(_HTTP, self._hub.http_url)])
            case ["hub" | "nats" | "echo" | "mkdir", *_]:
                return self._run(["sh", "-c", command])
            case _:
                raise AssertionError(f"no test knows how to run {command!r}")

    def _run(self, command: list[str]) -> str:
        """Run a command that ends, and has to succeed."""
        done = subprocess.run(
            command,
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}"
        assert "Nats-Service-Error" not in done.stdout, f"{command}: {done.stdout}"
        return done.stdout

    def _go_on(self, command: str, sign: str, then: Callable[[], None] | None = None, last: str = "") -> str:
        """Run a command that does not end, until it shows `sign` (and after `then` also `last`); then press Ctrl-C."""
        printed: list[str] = []
        with subprocess.Popen(
            ["sh", "-c", command],
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            reading = threading.Thread(target=printed.extend, args=(process.stdout,))
            reading.start()
            try:
                _wait_for(sign, printed, process)
                if then is not None:
                    then()
                    _wait_for(last, printed, process)
                os.killpg(process.pid, signal.SIGINT)
                process.wait(PATIENCE)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                reading.join(PATIENCE)
        return "".join(printed)

    def _cause_a_change(self) -> None:
        done = run("register", "something-new", "--host", "127.0.0.1", "--port", "9", nats=self._hub.nats_url)
        assert done.returncode == 0, done.stderr


def _wait_for(text: str, printed: list[str], process: subprocess.Popen[str]) -> None:
    deadline = monotonic() + PATIENCE
    while not any(text in line for line in list(printed)):
        assert process.poll() is None, f"it ended: {''.join(printed)}"
        assert monotonic() < deadline, f"no {text!r} in {''.join(printed)}"
        sleep(0.02)


@pytest.mark.parametrize("command", ["said through nats-py", *(["nats"] if shutil.which("nats") else [])])
def test_what_the_readme_says_works_from_the_first_line_to_the_last(tmp_path: Path, command: str) -> None:
    nats = shutil.which("nats") if command == "nats" else None
    with HubProcess(tmp_path / "hub", variables={"HUB_SECRETS_KEY": fresh_key()}) as hub:
        reader = Reader(hub, tmp_path, nats)
        printed = {block.text: "".join(reader.run(block)) for block in blocks(README)}
    [by_nats] = [out for text, out in printed.items() if "nats request hub.register" in text]
    assert by_nats.count('"heartbeat_subject":"hub.heartbeat.trading-engine.') == 1
    assert '"url":"http://127.0.0.1:8001"' in by_nats
    assert 'Received on "hub.health.' in by_nats
    [by_http] = [out for text, out in printed.items() if "curl" in text]
    assert '"heartbeat_subject":"hub.heartbeat.api-gateway.' in by_http
    assert '"name":"api-gateway"' in by_http
    [by_hub] = [out for text, out in printed.items() if "hub register" in text]
    assert "registered trading-engine/" in by_hub
    assert by_hub.count("http://127.0.0.1:8002") == 1
    [configured] = [out for text, out in printed.items() if "hub config status" in text]
    assert "/risk/max_leverage" in configured
    assert "calm markets" in configured
    [kept] = [out for text, out in printed.items() if "hub secret" in text]
    assert "stored db-password as revision" in kept
    assert "db-password  trading-*" in kept
    [configured_by_nats] = [out for text, out in printed.items() if "hub.config.get" in text]
    assert '"halted":true' in configured_by_nats
    [flagged] = [out for text, out in printed.items() if "hub flags evaluate" in text]
    assert "new-checkout is true, variant on (TARGETING_MATCH, rule 0)" in flagged
    [by_flags] = [out for text, out in printed.items() if "client.flags.boolean" in text]
    assert by_flags.startswith("True\nEvaluation(key='new-checkout', value=")
    assert "reason='SPLIT', rule=1" in by_flags
    [by_openfeature] = [out for text, out in printed.items() if "CentralHubProvider" in text]
    assert by_openfeature == "True\n", "user-1 is among the ten percent"
    [shared] = [out for text, out in printed.items() if "hub components" in text]
    assert "published as revision 3: 1 files" in shared
    assert "red sells" not in shared
    assert "button { color: green }" in shared
    [synced] = [out for text, out in printed.items() if "components.sync" in text]
    assert synced == "version 3: button.css changed\nbutton { color: red }\n\n"
    [explained] = [out for text, out in printed.items() if "hub access explain" in text]
    assert "access.toml: [[allow]] 1, discover 'ledger-*'" in explained
    assert "access.toml: [[allow]] 2, discover '*'" in explained
    [by_sdk] = [out for text, out in printed.items() if "client.discover" in text]
    assert by_sdk in ("http://127.0.0.1:8001\n", "http://127.0.0.1:8002\n")


@pytest.mark.parametrize("text", ["curl localhost\n", "nats kv ls\n", "nats request --raw a b\n", "hub unheard-of\n"])
def test_a_command_that_no_test_knows_fails(tmp_path: Path, text: str) -> None:
    with HubProcess(tmp_path / "hub") as hub, pytest.raises(AssertionError):
        Reader(hub, tmp_path, None).run(Block("sh", text))


def test_a_kind_of_block_that_no_test_knows_fails(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub, pytest.raises(AssertionError, match="'yaml'"):
        Reader(hub, tmp_path, None).run(Block("yaml", "a: 1\n"))
