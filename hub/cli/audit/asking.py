"""Reading the audit from a hub, and how its entries are shown."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from hub.cli import output
from hub.cli.output import Cell, Column
from hub.cli.session import Session
from hub.wire import subjects
from hub.wire.audit import (
    ArchivedAuditPage,
    AuditEntry,
    AuditPage,
    ReadArchivedAudit,
    ReadAudit,
    StoredAudit,
)

COLUMNS: Final = (
    Column("AT"),
    Column("CALLER"),
    Column("FROM"),
    Column("WHAT"),
    Column("TARGET"),
    Column("OUTCOME"),
    Column("TIMES", right=True),
    Column("REQUEST", optional=True),
)
_SPAN: Final = re.compile(r"(\d{1,9})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType[datetime]):
    """A time: `2026-03-01`, `2026-03-01T09:00`, with an offset or without; or how long ago: `90s`, `30m`, `7d`."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time, in UTC. One without an offset is one of this machine's clock."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            if span := _SPAN.fullmatch(text):
                return output.now() - timedelta(**{_UNITS[span[2]]: int(span[1])})
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"expected a time such as 2026-03-01T09:00, or 30m, 2h or 7d ago; got {text!r}", param, ctx)


def row(entry: AuditEntry) -> list[Cell | str]:
    """An entry in a table."""
    ok = entry.outcome in ("", "ok")
    return [
        f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}",
        entry.caller or "",
        entry.host,
        entry.subject or entry.kind,
        entry.target or entry.reason,
        Cell(entry.outcome, "" if ok else "yellow"),
        str(entry.count),
        entry.request_id,
    ]


async def messages(session: Session, after: int = 0, newest: int = 0) -> AsyncIterator[AuditPage]:
    """What the stream has, page by page, until there is no more."""
    page = await session.ask(subjects.AUDIT_READ, ReadAudit(after=after, newest=newest), AuditPage)
    yield page
    while page.next is not None:
        page = await session.ask(subjects.AUDIT_READ, ReadAudit(after=page.next), AuditPage)
        yield page


async def archived(session: Session) -> AsyncIterator[Sequence[StoredAudit]]:
    """What PostgreSQL has, page by page; nothing where the hub keeps nothing there."""
    page = await session.ask(subjects.AUDIT_ARCHIVED, ReadArchivedAudit(), ArchivedAuditPage)
    yield page.messages
    while page.next is not None:
        page = await session.ask(subjects.AUDIT_ARCHIVED, ReadArchivedAudit(after=page.next), ArchivedAuditPage)
        yield page.messages
