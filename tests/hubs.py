"""Real hub processes for tests: started by the command that users type, and able to fail on command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from hub.settings.schema import PLATFORM_NAMES
from tests import enforcing
from tests.servers import free_port

START_TIMEOUT = 60.0
_READY = re.compile(r"ready: NATS (?P<nats>\S+), HTTP (?P<http>https?://\S+?)(?:[,\s]|$)")


def hub_command() -> str:
    """The `hub` beside this Python."""
    return str(Path(sys.executable).parent / "hub")


def environment(**changes: str) -> dict[str, str]:
    """This environment without whatever would configure a hub, and with `changes`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HUB_", "OTEL_")) and name not in PLATFORM_NAMES
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **changes}


class HubProcess:
    """One `hub up` (with a NATS of its own) or `hub serve` (on the NATS at `nats_url`).

    Args:
        folder: Where its data and its log go.
        nats_url: The NATS to serve on; None runs its own.
        arguments: More arguments for the command.
        variables: Environment variables for it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nats_url: str | None = None,
        arguments: tuple[str, ...] = (),
        variables: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "hub.log"
        self._own_nats = nats_url is None
        self._arguments = arguments
        self._variables = variables or {}
        if nats_url is None:
            self._secured = enforcing.secured(folder, arguments, self._variables)
        else:
            self._secured = enforcing.joining(nats_url)
        self._process: subprocess.Popen[bytes] | None = None
        self.nats_url = nats_url or ""
        self.http_url = ""

    @property
    def pid(self) -> int:
        """The process id of the hub."""
        assert self._process is not None, "the hub is not running"
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, *, wait: bool = True) -> None:
        """Start it; a hub started before comes back on the same ports and data."""
        assert self._process is None, "the hub is running already"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [hub_command(), *self._command()],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(**{**self._secured, **self._variables}),
                cwd=self.folder,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return when it has said that it is ready, and where."""
        deadline = time.monotonic() + START_TIMEOUT
        while (found := _READY.search(self.output())) is None:
            assert self._process is not None, "the hub was stopped while it was waited for"
            assert self._process.poll() is None, f"the hub ended at its start:\n{self.output()}"
            assert time.monotonic() < deadline, f"the hub is not ready:\n{self.output()}"
            time.sleep(0.02)
        self.nats_url, self.http_url = found["nats"], found["http"]
        if self._secured:
            enforcing.opened(self._secured, self.nats_url, self.http_url)

    def output(self) -> str:
        """All that it has printed since it was last started."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def interrupt(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal."""
        os.kill(self.pid, sig)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for its end and return its exit code."""
        assert self._process is not None, "the hub is not running"
        code = self._process.wait(timeout)
        self._process = None
        return code

    def stop(self) -> int:
        """End it the orderly way and return its exit code."""
        self.interrupt(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would. Its nats-server must go with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(START_TIMEOUT)
            self._process = None

    def _command(self) -> list[str]:
        http = self.http_url.rsplit(":", 1)[-1] or str(free_port())
        if not self._own_nats:
            return ["serve", "--nats", self.nats_url, "--http-port", http, *self._arguments]
        nats = self.nats_url.rsplit(":", 1)[-1] or str(free_port())
        ports = ["--nats-port", nats, "--http-port", http]
        return ["up", *ports, "--data-dir", str(self.data_dir), *self._arguments]
