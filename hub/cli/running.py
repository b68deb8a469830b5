"""Running a hub as a process: from settings to the ready line, and from a signal to the end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import monotonic

import structlog
import uvloop

from hub.app import Hub
from hub.app.access import access_of
from hub.embedded import EmbeddedServer
from hub.embedded.config import Login
from hub.settings import Settings
from hub.sidecar.server import Sidecar
from hub.telemetry.logging import configure
from hub.telemetry.metrics import Metrics
from hub.version import __version__

log = structlog.get_logger(__name__)

_END_WITHIN = 4.8
"""Seconds after a signal at which the process ends whatever it still waits for."""
_COLLECTOR = (10_000, 50, 100)
"""How seldom garbage cycles are looked for. The hub makes next to none, and the collector's usual pace, set for small
programs, takes a fifth of the time of every registration."""

_CANCEL_AGAIN = 1.0
"""Seconds that a start which is called off has for ending what it began."""


def run(settings: Settings, *, embedded: bool, say: Callable[[str], None]) -> int:
    """Run a hub until a signal ends it, and return the exit code.

    Args:
        settings: How to run.
        embedded: Whether to run a nats-server of its own; else it works on the one in the settings.
        say: Prints a line for the user.

    Raises:
        HubError: it cannot start, or cannot go on; the message says what to do.
    """
    configure(settings.log.level, settings.log.format)
    log.info("settings", given=settings.explain())
    uvloop.run(_live(settings, embedded=embedded, say=say))
    return 0


async def _live(settings: Settings, *, embedded: bool, say: Callable[[str], None]) -> None:
    began = monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(received: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + received)  # asked twice: the user does not want to wait
        log.info("stopping", signal=received.name)
        stop.set()
        loop.call_later(_END_WITHIN, os._exit, 1)

    for sig in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sig, on_signal, sig)
    async with AsyncExitStack() as stack:
        stopping = asyncio.create_task(stop.wait())
        serving = asyncio.create_task(_serve(settings, stack, embedded=embedded, say=say, began=began))
        await asyncio.wait([stopping, serving], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        while not serving.done():
            serving.cancel()  # again: `asyncio.wait_for` of Python 3.11 may swallow one
            await asyncio.wait([serving], timeout=_CANCEL_AGAIN)
        await asyncio.gather(stopping, return_exceptions=True)
        failure = None if serving.cancelled() else serving.exception()
        if isinstance(failure, Exception):
            raise failure


async def _serve(
    settings: Settings, stack: AsyncExitStack, *, embedded: bool, say: Callable[[str], None], began: float
) -> None:
    """Start everything, say so, and return only by failing."""
    metrics = Metrics(performance=settings.platform.performance_metrics)
    if metrics.performance:
        stack.enter_context(metrics.pauses)
    server: EmbeddedServer | None = None
    access = await asyncio.to_thread(access_of, settings, embedded=embedded, say=say)
    keys = None if access is None else access.keys
    if embedded:
        server = await stack.enter_async_context(
            EmbeddedServer(settings, proven=keys.public, system=Login.of(keys.system))
            if keys is not None
            else EmbeddedServer(settings)
        )
        hub = Hub(
            settings,
            [server.url],
            metrics=metrics,
            system_url=server.url,
            system_seed=server.system_seed,
            reload_nats=server.reload,
            access=access,
        )
    else:
        hub = Hub(
            settings,
            list(settings.nats.url),
            metrics=metrics,
            system_url=settings.nats.system_url,
            system_seed=None if keys is None else keys.system.seed,
            access=access,
        )
    await stack.enter_async_context(hub)
    _calm_collector()
    sidecar = await stack.enter_async_context(Sidecar(hub, settings.http, metrics, tls=hub.http_tls))
    where = f", data in {settings.data_dir}" if embedded else ""
    took = f"{monotonic() - began:.1f} s"
    say(f"Central Hub {__version__} ready: NATS {hub.shown_url}, HTTP {sidecar.url}{where} ({took})")
    await asyncio.gather(hub.wait_failed(), *([server.wait_failed()] if server is not None else []))


def _calm_collector() -> None:
    """Leave what is there at the start out of the search for garbage, and search seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR)
