"""A server process for tests: it keeps its port and folder over every restart, and can be made to fail on command."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import START_TIMEOUT, free_port

_RUN = """
import ctypes, os, signal, sys
uid, gid = int(sys.argv[1]), int(sys.argv[2])
if os.geteuid() == 0 and uid:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""A test run that is killed takes its servers with it (1 is PR_SET_PDEATHSIG, which a change of user resets)."""


class ServerProcess(ABC):
    """One server. Leaving its context ends it for good.

    Args:
        folder: Where its files and its log live.
        port: Which port of 127.0.0.1 to listen on; None takes a free one.
    """

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it has said."""
        return self.folder / "server.log"

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
        uid, gid = self._user()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", "-c", _RUN, str(uid), str(gid), *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return when it takes clients."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            assert self._process is not None, "the server was stopped while it was waited for"
            assert self._process.poll() is None, f"the server ended at its start:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"the server takes no clients:\n{self.log.read_text()}"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it the orderly way."""
        if self._process is not None:
            self.resume()
            self._process.send_signal(self._stop_signal)
            self._process.wait(START_TIMEOUT)
            self._process = None

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._process is not None:
            self._signal_all(signal.SIGKILL)
            self._process.wait(START_TIMEOUT)
            self._process = None

    def restart(self) -> None:
        """SIGKILL it and start it again on the same port and files."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Freeze it: the kernel goes on taking connections for it, and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run on after `pause`."""
        self._signal_all(signal.SIGCONT)

    _stop_signal = signal.SIGTERM

    @abstractmethod
    def _command(self) -> list[str]:
        """What to run, with its arguments; the first is an absolute path."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it takes clients."""

    def _user(self) -> tuple[int, int]:
        """As whom to run, where the tests run as root: uid and gid, 0 to stay root."""
        return 0, 0

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _pids(self) -> list[int]:
        """Every process that the server consists of, the first one first."""
        return [self.pid]
