"""What the demo does: start everything, send requests, kill an engine half-way, say what became of it."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from examples.demo.children import Child, child
from examples.demo.load import Tally, send
from examples.demo.screen import Screen
from hub.client import CentralHubClient

ENGINES = ("engine-1", "engine-2", "engine-3")
VICTIM = "engine-2"
SERVICE = "trading-engine"
_HUB_READY = r"ready: NATS (?P<nats>\S+), HTTP (?P<http>http://[^\s,]+)"
_SERVICE_READY = r"listens on (?P<url>http://\S+:(?P<port>\d+))"


@dataclass(slots=True)
class Death:
    """When the engine was killed, on the event loop's clock; None until then."""

    at: float | None = None


async def tell(screen: Screen, *, seconds: float, rate: float) -> bool:
    """Show it all. True when every request was answered in the end.

    Raises:
        NotStarted: one of the processes did not become ready.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="central-hub-demo-")))
        nats = await _start_hub(screen, stack, folder)
        engines = {name: await _start(screen, stack, folder, "trading_engine", name, nats) for name in ENGINES}
        gateway = await _start(screen, stack, folder, "api_gateway", "gateway", nats)
        observer = await stack.enter_async_context(CentralHubClient("demo-observer", nats_url=nats))
        tally, death = Tally(), Death()
        screen.say(f"sending {rate:g} requests a second through the gateway, for {seconds:g} s")
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_show_changes(screen, observer, death))
            counting = group.create_task(_show_figures(screen, tally))
            killing = group.create_task(_kill(screen, engines[VICTIM], seconds / 2, death))
            await send(int(gateway.said["port"]), seconds=seconds, rate=rate, tally=tally)
            await killing
            watching.cancel()
            counting.cancel()
        screen.say("stopping everything")
    _sum_up(screen, tally, death, rate)
    return tally.failed == 0


async def _start_hub(screen: Screen, stack: AsyncExitStack, folder: Path) -> str:
    """Start a hub with a NATS of its own on free ports; returns the URL of NATS."""
    screen.say("starting the hub with a NATS server of its own")
    config = folder / "hub.toml"
    config.touch()  # nothing is set: what this machine's own hub is set to does not matter here
    options = ("--nats-port", "0", "--http-port", "0", "--data-dir", str(folder / "data"), "--config", str(config))
    hub = await stack.enter_async_context(
        child("hub", "hub.cli.entry", "up", *options, ready=_HUB_READY, folder=folder)
    )
    screen.say(f"the hub is up: {hub.said['nats']}, {hub.said['http']}", "green")
    return hub.said["nats"]


async def _start(screen: Screen, stack: AsyncExitStack, folder: Path, module: str, name: str, nats: str) -> Child:
    """Start one of the example services."""
    arguments = ("--nats", nats, "--instance-id", name)
    started = await stack.enter_async_context(
        child(name, f"examples.{module}", *arguments, ready=_SERVICE_READY, folder=folder)
    )
    screen.say(f"{name} is up and registered: {started.said['url']}, process {started.process.pid}", "green")
    return started


async def _kill(screen: Screen, victim: Child, after: float, death: Death) -> None:
    await asyncio.sleep(after)
    death.at = asyncio.get_running_loop().time()
    victim.kill()
    screen.say(f"SIGKILL to {VICTIM}: it can tell nobody that it dies", "bold red")


async def _show_changes(screen: Screen, observer: CentralHubClient, death: Death) -> None:
    """Show what the hub says about the engines as it says it."""
    async for change in observer.watch(SERVICE):
        if change.kind == "added":
            continue
        status = "gone" if change.kind == "removed" else change.instance.status
        since = "" if death.at is None else f", {_ms(asyncio.get_running_loop().time() - death.at)} after SIGKILL"
        screen.say(f"the hub tells everybody: {change.instance.instance_id} is {status}{since}", "yellow")


async def _show_figures(screen: Screen, tally: Tally) -> None:
    while True:
        await asyncio.sleep(0.05)
        by_engine = "  ".join(f"{name} {tally.answered[name]}" for name in ENGINES)
        screen.figures(f"{tally.sent} sent  {by_engine}  retried {tally.retries}  failed {tally.failed}")


def _sum_up(screen: Screen, tally: Tally, death: Death, rate: float) -> None:
    assert death.at is not None
    attempts = tally.attempts_at(VICTIM, since=death.at)
    last = _ms(max(attempts) - death.at) if attempts else "0 ms, no request chose it"
    rows = [
        ("requests sent", str(tally.sent)),
        ("requests failed", str(tally.failed)),
        ("retries by the gateway", str(tally.retries)),
        *((f"answered by {name}", str(tally.answered[name])) for name in ENGINES),
        (f"attempts at {VICTIM} after SIGKILL", str(len(attempts))),
        (f"until nobody chose {VICTIM} any more", f"{last} (one request every {1000 / rate:g} ms)"),
    ]
    for failure in tally.failures:
        screen.say(f"failed: {failure}", "bold red")
    screen.summary(rows, good=tally.failed == 0)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
