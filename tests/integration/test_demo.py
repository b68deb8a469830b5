"""`make demo`, as users run it: what it shows, and that it leaves nothing behind."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.demo.children import NotStarted, child
from examples.demo.load import REMEMBERED, Tally
from tests.hubs import environment

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0

pytestmark = pytest.mark.xdist_group("demo")


def start(folder: Path, *arguments: str, stdout: int) -> subprocess.Popen[bytes]:
    """The demo, with all that it keeps below `folder`, which also marks whatever it starts."""
    return subprocess.Popen(
        [sys.executable, "-m", "examples.demo", *arguments],
        cwd=ROOT,
        env=environment(TMPDIR=str(folder), DEMO_MARK=str(folder), TERM="xterm-256color"),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
    )


def left_behind(folder: Path) -> list[str]:
    """The command lines of processes that the demo started and that still run."""
    mark, found = os.fsencode(folder), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, variables = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue  # it has just ended, or is somebody else's
        if mark in command or b"DEMO_MARK=" + mark in variables:
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_no_request_fails_and_the_dead_engine_is_not_chosen_again(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    with start(folder, "--seconds", "6", "--rate", "50", stdout=subprocess.PIPE) as demo:
        shown = demo.communicate(timeout=PATIENCE)[0].decode()
    assert demo.returncode == 0, shown
    for expected in ("the hub is up: nats://", "engine-1 is up", "engine-2 is up", "engine-3 is up", "gateway is up"):
        assert expected in shown
    summary = dict(line.split(": ", 1) for line in shown.splitlines() if re.match(r"[a-z]", line))
    assert summary["requests failed"] == "0"
    answered = {name: int(summary[f"answered by {name}"]) for name in ("engine-1", "engine-2", "engine-3")}
    assert sum(answered.values()) == int(summary["requests sent"])
    assert min(answered.values()) > 0
    before, after = shown.split("SIGKILL to engine-2", 1)
    assert " sent  engine-1 " in before
    assert " sent  engine-1 " in after
    until = re.match(r"([0-9.]+) ms", summary["until nobody chose engine-2 any more"])
    assert until
    assert float(until[1]) < 2000, "of the 3 s for which requests went on"
    assert left_behind(folder) == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_that_the_demo_started(tmp_path: Path, sig: signal.Signals) -> None:
    folder, log = tmp_path / "demo", tmp_path / "log"
    folder.mkdir()
    with log.open("wb") as output, start(folder, "--seconds", "60", stdout=output.fileno()) as demo:
        wait_for(lambda: "sending" in log.read_text() or demo.poll() is not None, "it does not begin")
        assert len(left_behind(folder)) >= 7, "the demo, hub, nats-server, three engines and the gateway"
        demo.send_signal(sig)
        code = demo.wait(PATIENCE)
    assert code == 128 + sig, log.read_text()
    assert log.read_text().splitlines()[-1].endswith(f"{sig.name}: everything has been stopped")
    assert left_behind(folder) == []
    assert list(folder.iterdir()) == []


def test_on_a_terminal_it_ends_with_a_table(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    shown = bytearray()
    with start(tmp_path, "--seconds", "1", "--rate", "20", stdout=terminal) as demo:
        os.close(terminal)
        try:
            while chunk := os.read(screen, 65_536):
                shown += chunk
        except OSError:
            pass  # how Linux says that the terminal's other side has hung up
        finally:
            os.close(screen)
        assert demo.wait(PATIENCE) == 0, shown.decode()
    assert re.search(r"│ requests failed +│ \S*0", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()))


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    for nonsense in ("0", "-1", "nan", "inf", "soon"):
        with start(tmp_path, "--rate", nonsense, stdout=subprocess.PIPE) as demo:
            shown = demo.communicate(timeout=PATIENCE)[0].decode()
        assert demo.returncode == 2
        assert "--rate" in shown


async def test_a_process_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotStarted, match=r"(?s)^lost ended with code 1\n.*No module named examples\.lost"):
        async with child("lost", "examples.lost", ready="never", folder=tmp_path):
            pass


def test_failures_and_retries_are_counted_and_dated() -> None:
    tally = Tally()
    tally.add(200, {"engine": "a", "tried": []}, 1.0)
    tally.add(200, {"engine": "a", "tried": ["b"]}, 2.0)
    tally.add(502, {"error": "nobody answered", "tried": ["b", "c"]}, 3.0)
    for _ in range(REMEMBERED):
        tally.add(0, {"error": "hung up"}, 4.0)
    assert (tally.answered, tally.retries, tally.failed) == ({"a": 2}, 3, 1 + REMEMBERED)
    assert tally.failures[:2] == ["502: nobody answered", "no answer: hung up"]
    assert len(tally.failures) == REMEMBERED
    assert tally.attempts_at("b", since=1.5) == [2.0, 3.0]
    assert tally.attempts_at("b", since=2.5) == [3.0]
