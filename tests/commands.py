"""The `hub` command in tests: run as users and scripts run it, in a pipe or on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from types import TracebackType
from typing import IO, Any, Self

from tests import enforcing
from tests.hubs import environment, hub_command

PATIENCE = 60.0


def run(*arguments: str, nats: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `hub` to its end, with the NATS at `nats` in its environment."""
    given = {**enforcing.variables(nats), **variables, "NATS_URL": nats} if nats else variables
    return subprocess.run(
        [hub_command(), *arguments],
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def run_json(*arguments: str, nats: str) -> Any:
    """What `hub ... --json` prints; it must succeed."""
    done = run(*arguments, "--json", nats=nats)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_on_terminal(*arguments: str, nats: str, columns: int = 160, **variables: str) -> str:
    """What `hub` shows on a colour terminal of that width; it must succeed."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    given = environment(
        NATS_URL=nats, TERM="xterm-256color", COLORTERM="", **{**enforcing.variables(nats), **variables}
    )
    given.pop("COLUMNS", None)
    with subprocess.Popen(
        [hub_command(), *arguments], env=given, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE
    ) as process:
        os.close(terminal)
        shown = bytearray()
        try:
            while chunk := os.read(screen, 65_536):
                shown += chunk
        except OSError:
            pass  # how Linux says that the terminal's other side has hung up
        finally:
            os.close(screen)
        assert process.stderr is not None
        complaint = process.stderr.read().decode()
        assert process.wait(PATIENCE) == 0, complaint
    return shown.decode()


class Running:
    """A `hub` command that goes on, such as `hub watch`: what it prints is gathered while it runs.

    Args:
        arguments: The command's.
        nats: The NATS in its environment.
        stdout: A file descriptor to print to; None gathers the lines in `out`.
    """

    def __init__(self, *arguments: str, nats: str, stdout: int | None = None) -> None:
        self._process = subprocess.Popen(
            [hub_command(), *arguments],
            env=environment(NATS_URL=nats, **enforcing.variables(nats)),
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._streams = {stream: into for stream, into in self._printed() if stream is not None}
        self._readers = [threading.Thread(target=into.extend, args=(stream,)) for stream, into in self._streams.items()]

    def _printed(self) -> tuple[tuple[IO[str] | None, list[str]], ...]:
        return (self._process.stdout, self.out), (self._process.stderr, self.err)

    def __enter__(self) -> Self:
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        for stream in self._streams:
            stream.close()

    def wait_for(self, text: str, lines: list[str], count: int = 1) -> str:
        """Wait until `count` of the lines hold `text`, and return the last of them."""
        deadline = time.monotonic() + PATIENCE
        while len(found := [line for line in list(lines) if text in line]) < count:
            assert time.monotonic() < deadline, f"no {text!r} in\n{''.join(self.out)}\n--- stderr\n{''.join(self.err)}"
            time.sleep(0.02)
        return found[-1].rstrip("\n")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Wait for its end, and for all that it printed; returns its exit code."""
        code = self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code


class Typing:
    """A `hub` command on a terminal that somebody types at: what it shows, stderr too, is gathered while it runs.

    Args:
        arguments: The command's.
        nats: The NATS in its environment.
        variables: More of its environment.
    """

    def __init__(self, *arguments: str, nats: str, **variables: str) -> None:
        self._screen, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        self._process = subprocess.Popen(
            [hub_command(), *arguments],
            env=environment(NATS_URL=nats, TERM="xterm-256color", **{**enforcing.variables(nats), **variables}),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        self._read = bytearray()
        self._reader = threading.Thread(target=self._gather)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        os.close(self._screen)

    @property
    def shown(self) -> str:
        """All that it has shown until now."""
        return self._read.decode(errors="replace")

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until it has shown `text` so many times."""
        deadline = time.monotonic() + PATIENCE
        while self.shown.count(text) < count:
            assert time.monotonic() < deadline, f"no {text!r} in\n{self.shown}"
            time.sleep(0.02)

    def type(self, line: str) -> None:
        """Type a line, and press Enter."""
        os.write(self._screen, f"{line}\n".encode())

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Wait for its end, and for all that it showed; returns its exit code."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def _gather(self) -> None:
        try:
            while chunk := os.read(self._screen, 65_536):
                self._read += chunk
        except OSError:
            pass  # how Linux says that the terminal's other side has hung up
