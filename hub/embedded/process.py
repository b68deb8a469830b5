"""One run of a nats-server process, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from hub.embedded import guard
from hub.embedded.config import ServerConfig
from hub.errors import StartupError

_READY_WITHIN: Final = 30.0
_STOP_WITHIN: Final = 2.0
_LOOK_EVERY: Final = 0.01
_LOG_LIMIT: Final = 10 * 1024 * 1024
_TOLD_LINES: Final = 3
_STAMP = re.compile(r"^\[\d+\] \S+ \S+ ")
_BAD = re.compile(r"\[(?:ERR|FTL)\] ")


class ServerProcess:
    """A running nats-server. `start` makes one; whoever has it must `stop` it.

    It runs in a session of its own, so that a Ctrl-C meant for the hub does not reach it, and cannot outlive the hub.
    Where the kernel sees to that, it ends with the thread that started it: take one that lives as long as the hub.
    """

    def __init__(self, process: asyncio.subprocess.Process, config: ServerConfig, log: Path, log_start: int) -> None:
        self._process = process
        self._config = config
        self._log = log
        self._log_start = log_start
        self._lifeline: int | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @classmethod
    async def start(
        cls, program: str, config: ServerConfig, *, lock: int, by_kernel: bool = sys.platform == "linux"
    ) -> ServerProcess:
        """Start it, and return when it takes clients.

        Args:
            program: Path of the nats-server.
            config: What it is told.
            lock: The descriptor that holds the lock on the data. The server inherits it, so that the data stay locked
                until both the hub and the server are gone.
            by_kernel: Whether the kernel sees to its end; else a watching process does.

        Raises:
            StartupError: it does not start; the message holds its own last words.
        """
        path, log, log_start = _prepare(config)
        reading, lifeline = (None, None) if by_kernel else os.pipe()
        how = guard.KERNEL if reading is None else str(reading)
        arguments = ["-I", "-S", guard.__file__, how, str(os.getpid()), program, "-c", str(path)]
        output = _append(log)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[each for each in (lock, reading) if each is not None],
            )
        except BaseException:
            _close(lifeline)
            raise
        finally:
            os.close(output)
            _close(reading)
        self = cls(process, config, log, log_start)
        self._lifeline = lifeline
        try:
            await self._wait_ready()
        except BaseException:
            await self.stop()
            raise
        return self

    async def wait(self) -> int:
        """Return its exit code once it has ended; negative is the signal that ended it."""
        code = await self._process.wait()
        self._let_go()
        return code

    def hang_up(self) -> None:
        """Have it read its configuration, and the files that this names, again."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """End it: politely, and after 2 s by force."""
        try:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.terminate()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_STOP_WITHIN):
                        await self._process.wait()
        finally:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
            self._let_go()

    def last_words(self) -> str:
        """The last lines of its log that tell of an error; without any, the last lines."""
        with self._log.open("rb") as file:
            file.seek(self._log_start)
            lines = [_STAMP.sub("", line) for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        bad = [_BAD.sub("", line) for line in lines if _BAD.match(line) or line.startswith("nats-server: ")]
        return " | ".join((bad or lines)[-_TOLD_LINES:]) or "it said nothing"

    async def _wait_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + _READY_WITHIN
        while not self._is_ready():
            if self._process.returncode is not None:
                raise self._failure()
            if asyncio.get_running_loop().time() > deadline:
                words = f"{self.last_words()} (all of it: {self._log})"
                raise StartupError(f"nats-server took no clients within {_READY_WITHIN:g} s: {words}")
            await asyncio.sleep(_LOOK_EVERY)

    def _is_ready(self) -> bool:
        """Whether it has written down where it listens, which it does once it takes clients."""
        for path in self._config.ports_dir.glob(f"*_{self.pid}.ports"):
            with contextlib.suppress(
                ValueError, KeyError, IndexError
            ):  # half written: it will be whole at the next look
                self.port = urlsplit(json.loads(path.read_text())["nats"][0]).port or 0
        return self.port != 0

    def _failure(self) -> StartupError:
        words = self.last_words()
        if "address already in use" in words:
            return StartupError(
                f"port {self._config.port} on {self._config.host} is taken: stop what listens there, "
                "or choose another with --nats-port (0 = any free one)"
            )
        return StartupError(f"nats-server did not start: {words} (all of it: {self._log})")

    def _let_go(self) -> None:
        _close(self._lifeline)
        self._lifeline = None


def _prepare(config: ServerConfig) -> tuple[Path, Path, int]:
    """Write the configuration and make room for the log; the paths of both, and where the log goes on."""
    path = config.write()
    config.ports_dir.mkdir(exist_ok=True)
    for left in config.ports_dir.glob("*.ports"):  # by a server that was killed
        left.unlink(missing_ok=True)
    log = config.folder / "server.log"
    size = log.stat().st_size if log.exists() else 0
    if size > _LOG_LIMIT:
        log.replace(config.folder / "server.log.1")
        size = 0
    return path, log, size


def _append(log: Path) -> int:
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
