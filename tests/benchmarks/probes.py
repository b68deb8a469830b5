"""What an HTTP probe costs the hub in CPU, beside a bare asyncio connection that does the least there is to do."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, process_time, sleep

from hub.probes import Probes
from hub.settings.model import Probes as ProbeSettings
from hub.wire.checks import HttpCheck
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, in_turn
from tests.calls import connected
from tests.servers import NatsServer, free_port

_IN_FLIGHT = 16
_DEAREST = 400
"""Microseconds: 500 probes a second take no more than a fifth of a core."""


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """Microseconds of this process's CPU for one look, the target being another process."""
    with NatsServer(folder / "nats") as nats, _target(folder) as port:
        async with connected(nats.url) as client, Probes(ProbeSettings(), client) as probes:
            prober = probes.prober(HttpCheck(timeout=10), host="127.0.0.1", port=port, protocol="http")

            async def look() -> None:
                outcome = await prober()
                assert outcome.ok, outcome.output

            async def bare() -> None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                assert (await reader.read()).startswith(b"HTTP/1.0 200")
                writer.close()

            await look()
            works = {"probe": lambda: _cost(look, pace), "bare": lambda: _cost(bare, pace)}
            figures = await in_turn("probes", pace, works, say)
    bar = Bar("<=", _DEAREST, of="figure")
    return [Row.compared("HTTP probe, CPU of the hub for each", "us", figures["probe"], figures["bare"], bar)]


async def _cost(once: Callable[[], Awaitable[None]], pace: Pace) -> float:
    count = 0
    end = monotonic() + pace.seconds

    async def work() -> None:
        nonlocal count
        while monotonic() < end:
            await once()
            count += 1

    began = process_time()
    await asyncio.gather(*(work() for _ in range(_IN_FLIGHT)))
    return (process_time() - began) / count * 1e6


@contextmanager
def _target(folder: Path) -> Iterator[int]:
    """The port of an HTTP server in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(port)
            yield port
        finally:
            process.kill()


def _wait(port: int) -> None:
    deadline = monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert monotonic() < deadline, "the target does not start"
            sleep(0.02)
