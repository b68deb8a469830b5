"""A roll-out as it goes on: read again and again, shown as it moves, until it is decided."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Final, Literal

import msgspec

from hub.cli import output
from hub.cli.config import rendering
from hub.cli.session import Session
from hub.errors import HubError
from hub.wire import subjects
from hub.wire.configstatus import (
    ConfigStatus,
    ConfigStatusQuery,
)

POLL: Final = 0.3
"""Seconds between two looks."""

Decision = Literal["applied", "refused", "open"]
Show = Callable[[ConfigStatus], None]


def decision(status: ConfigStatus, revision: int = 0) -> Decision:
    """Whether everybody runs with what is wanted, or somebody has refused it.

    Args:
        status: How the instances stand.
        revision: What is to be wanted at least: a replica of the hub may not have heard of it yet.
    """
    if status.wanted < revision:
        return "open"
    if status.counts.get("refused"):
        return "refused"
    return "applied" if status.counts.get("applied", 0) == sum(status.counts.values()) else "open"


async def every_page(session: Session, service: str) -> ConfigStatus:
    """How all instances of a service stand."""
    page = await _look(session, service)
    instances = list(page.instances)
    while page.next:
        page = await _look(session, service, after=page.next)
        instances += page.instances
    return msgspec.structs.replace(page, instances=tuple(instances))


async def wait(session: Session, service: str, revision: int, seconds: float, show: Show) -> ConfigStatus:
    """Wait until the roll-out is decided, or the time is over; returns how all instances stand then.

    A hub or a NATS that goes away meanwhile may come back.

    Raises:
        HubError: nobody answers at the beginning, or at the end.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    status = await _look(session, service, limit=1)
    while True:
        show(status)
        if decision(status, revision) != "open" or not status.counts or loop.time() >= until:
            return await every_page(session, service)
        await asyncio.sleep(POLL)
        try:
            status = await _look(session, service, limit=1)
        except HubError as error:
            if not error.retryable or loop.time() >= until:
                raise


async def follow(session: Session, service: str) -> AsyncGenerator[ConfigStatus, None]:
    """How all instances stand, at first and whenever that has changed, for ever."""
    shown: ConfigStatus | None = None
    while True:
        try:
            status = await every_page(session, service)
        except HubError as error:
            if shown is None or not error.retryable:
                raise
        else:
            if status != shown:
                shown = status
                yield status
        await asyncio.sleep(POLL)


@contextlib.contextmanager
def progress(service: str) -> Iterator[Show]:
    """A bar on stderr, which is gone at the end; nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda status: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), "{task.fields[others]}", TimeElapsedColumn())
    drawn = (TextColumn(column) if isinstance(column, str) else column for column in columns)
    with Progress(*drawn, transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task(service, total=None, others="")

        def show(status: ConfigStatus) -> None:
            others = ", ".join(f"{count} {verdict}" for verdict, count in status.counts.items() if verdict != "applied")
            bar.update(
                task,
                description=f"{service} revision {status.wanted}",
                total=sum(status.counts.values()),
                completed=status.counts.get("applied", 0),
                others=others,
            )

        yield show


@contextlib.contextmanager
def live() -> Iterator[Show]:
    """A place on a terminal where it is drawn anew each time."""
    from rich.console import Console, Group
    from rich.live import Live

    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="visible") as place:

        def show(status: ConfigStatus) -> None:
            table = output.drawn(rendering.STATUS, rendering.status(status.instances, output.now()))
            place.update(Group(output.written(rendering.counts(status)), table), refresh=True)

        yield show


async def _look(session: Session, service: str, *, limit: int = 0, after: str = "") -> ConfigStatus:
    query = ConfigStatusQuery(service=service, limit=limit, after=after)
    return await session.ask(subjects.CONFIG_STATUS, query, ConfigStatus)
