"""Clients of the SDK for tests, the example services as processes, and waiting for what caches must come to know."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hub.client import CentralHubClient
from tests import enforcing
from tests.hubs import environment
from tests.waiting import PATIENCE

_ROOT = Path(__file__).parents[1]
_LISTENS = re.compile(r"^(?P<id>\S+) listens on http://127\.0\.0\.1:(?P<port>\d+)$", re.MULTILINE)


def sdk(url: str, name: str, *arguments: Any, **given: Any) -> CentralHubClient:
    """A client, which logs in as its service where that is asked for."""
    return CentralHubClient(name, *arguments, nats_url=url, **{**enforcing.as_service(url, name), **given})


def consumer(url: str, **given: Any) -> CentralHubClient:
    """A client that only looks for others."""
    return sdk(url, "some-consumer", **given)


def service(url: str, name: str, instance_id: str, port: int = 8000, **given: Any) -> CentralHubClient:
    """A client that registers an instance."""
    return sdk(url, name, "test", port=port, instance_id=instance_id, **given)


async def known(client: CentralHubClient, name: str) -> list[str]:
    """The ids of the instances that the client would choose from."""
    return [instance.instance_id for instance in await client.discover_all(name)]


async def eventually(condition: Callable[[], Awaitable[object]], what: str, *, within: float = PATIENCE) -> None:
    """Return once `await condition()` holds; fail with `what` after `within` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not await condition():
        assert loop.time() < deadline, f"not within {within:g} s: {what}"
        await asyncio.sleep(0.01)


async def until_known(client: CentralHubClient, name: str, expected: list[str], *, within: float = PATIENCE) -> None:
    """Return once the client would choose from these instances."""

    async def as_expected() -> bool:
        return await known(client, name) == expected

    await eventually(as_expected, f"{name} is known as {expected}", within=within)


class ExampleProcess:
    """One of the example services as a process of its own.

    Args:
        folder: Where its output goes.
        example: Which: `trading_engine` or `api_gateway`.
        url: Where NATS is.
        arguments: More arguments for it.
    """

    def __init__(self, folder: Path, example: str, url: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", f"examples.{example}", "--nats", url, "--port", "0", *arguments]
        self._log = folder / f"{example}-{'-'.join(arguments).strip('-') or 'plain'}.log"
        self._login = enforcing.variables(url, f"service:{example.replace('_', '-')}")
        self._process: subprocess.Popen[bytes] | None = None
        self.instance_id = ""
        self.port = 0

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, env=environment(**self._login), cwd=_ROOT
            )
        deadline = time.monotonic() + PATIENCE
        while (found := _LISTENS.search(self.output())) is None:
            assert self._process.poll() is None, f"the example ended at its start:\n{self.output()}"
            assert time.monotonic() < deadline, f"the example is not ready:\n{self.output()}"
            time.sleep(0.02)
        self.instance_id, self.port = found["id"], int(found["port"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, "the example is not running"
        return self._process.pid

    def output(self) -> str:
        """All that it has printed."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """End it the orderly way and return its exit code."""
        assert self._process is not None, "the example is not running"
        os.kill(self.pid, signal.SIGTERM)
        code = self._process.wait(PATIENCE)
        self._process = None
        return code

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None
