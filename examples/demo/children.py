"""The processes of the demo: each started, waited for until it says that it is ready, and ended with the demo."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

START_WITHIN = 30.0
STOP_WITHIN = 8.0
_LOOK_EVERY = 0.02
_SHOWN_OF_LOG = 15
_PROJECT = Path(__file__).parents[2]


class NotStarted(Exception):
    """A process ended, or said nothing, where it should have become ready."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that is ready, and what it said about where it is: the groups of the `ready` pattern."""

    process: asyncio.subprocess.Process
    said: dict[str, str]

    def kill(self) -> None:
        """End it as a crash would: no signal handler runs, nothing is deregistered."""
        self.process.send_signal(signal.SIGKILL)


@asynccontextmanager
async def child(name: str, module: str, *arguments: str, ready: str, folder: Path) -> AsyncIterator[Child]:
    """Run a Python module as a process of its own.

    Args:
        name: What to call it; its output goes to `<name>.log`.
        module: The module, as after `python -m`.
        arguments: Its arguments.
        ready: A pattern with named groups for the line that says it is ready.
        folder: Where its output goes.

    Raises:
        NotStarted: it did not become ready; the message has the end of its output.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
            cwd=_PROJECT,
            start_new_session=True,  # Ctrl-C is for the demo, which ends the others in order
        )
    try:
        yield Child(process, await _said(name, process, log, re.compile(ready)))
    finally:
        await _end(process)


def _environment() -> dict[str, str]:
    """This environment without whatever would lead the demo to another NATS or hub."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_") and name != "NATS_URL"}
    return {**kept, "PYTHONUNBUFFERED": "1"}


async def _said(name: str, process: asyncio.subprocess.Process, log: Path, ready: re.Pattern[str]) -> dict[str, str]:
    deadline = asyncio.get_running_loop().time() + START_WITHIN
    while True:
        ended = process.returncode is not None
        text = _printed(log)
        if (found := ready.search(text)) is not None:
            return found.groupdict()
        if ended or asyncio.get_running_loop().time() > deadline:
            happened = f"ended with code {process.returncode}" if ended else f"is not ready after {START_WITHIN:g} s"
            raise NotStarted("\n".join([f"{name} {happened}", *text.splitlines()[-_SHOWN_OF_LOG:]]))
        await asyncio.sleep(_LOOK_EVERY)


def _printed(log: Path) -> str:
    return log.read_text(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask it to end, and make it end where it does not, or where the demo is told again to stop."""
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        process.terminate()
    try:
        with contextlib.suppress(TimeoutError):  # then it is killed
            async with asyncio.timeout(STOP_WITHIN):
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    await process.wait()
