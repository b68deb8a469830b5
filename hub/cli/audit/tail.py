from __future__ import annotations

import asyncio

import click

from hub.cli import output
from hub.cli.audit import asking
from hub.cli.options import connection, json_output
from hub.cli.output import Cell
from hub.cli.session import Session, connected, run
from hub.core.auditchain import read_line
from hub.errors import DeadlineExceeded, Unavailable
from hub.wire import subjects
from hub.wire.audit import AuditEntry, AuditPage, ReadAudit

_EVERY = 1.0
_QUIET = ("begin", "checkpoint", "end")


@click.command()
@click.option("-n", "--lines", type=click.IntRange(min=0, max=1000), default=20, show_default=True, help="How many.")
@click.option("-f", "--follow", is_flag=True, help="Show what comes, until Ctrl-C.")
@json_output("one entry a line as JSON, in the shape of `audit-entry`")
@connection()
def tail(urls: list[str], timeout: float, as_json: bool, lines: int, follow: bool) -> None:
    """Show the newest entries of the audit, oldest first.

    What chains only say of each other is left out, but in JSON.
    """
    run(_tail(urls, timeout, lines, follow=follow, as_json=as_json))


async def _tail(urls: list[str], timeout: float, lines: int, *, follow: bool, as_json: bool) -> None:
    async with connected(urls, timeout) as session:
        found: list[AuditEntry] = []
        last = 0
        async for page in asking.messages(session, newest=max(1, 10 * lines)):
            found += _entries(page, everything=as_json)
            last = max(last, page.last if page.next is None else page.next)
        for entry in found[-lines:] if lines else []:
            _print(entry, as_json=as_json)
        while follow:
            await asyncio.sleep(_EVERY)
            last = await _follow(session, last, as_json=as_json)


async def _follow(session: Session, last: int, *, as_json: bool) -> int:
    """Show what has come, and return up to where."""
    try:
        page = await session.ask(subjects.AUDIT_READ, ReadAudit(after=last), AuditPage)
    except (Unavailable, DeadlineExceeded) as error:
        output.note(f"trying again: {error.message}", as_json=as_json)
        return last
    for entry in _entries(page, everything=as_json):
        _print(entry, as_json=as_json)
    return page.messages[-1].sequence if page.messages else last


def _entries(page: AuditPage, *, everything: bool) -> list[AuditEntry]:
    read = [read_line(line.encode()) for message in page.messages for line in message.lines]
    return [entry for entry in read if entry is not None and (everything or entry.kind not in _QUIET)]


def _print(entry: AuditEntry, *, as_json: bool) -> None:
    if as_json:
        output.print_json_line(entry)
        return
    at, caller, host, what, target, outcome, times, request = asking.row(entry)
    pieces: list[Cell | str] = [at, "  ", caller or output.NONE]
    if host:
        pieces += [" (", host, ")"]
    pieces += ["  ", what]
    if target:
        pieces += [" ", target]
    pieces += ["  ", outcome]
    if entry.count > 1:
        pieces += [" x", times]
    if request:
        pieces += ["  ", request]
    output.print_line(pieces)
