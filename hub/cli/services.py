from __future__ import annotations

import click
import msgspec

from hub.cli import output
from hub.cli.options import connection, json_output
from hub.cli.output import Cell, Column
from hub.cli.session import Session, connected, run
from hub.wire import subjects
from hub.wire.discovery import ServiceList, Services, ServiceSummary

_COLUMNS = (
    Column("SERVICE"),
    Column("INSTANCES", right=True),
    Column("PASSING", right=True),
    Column("WARNING", right=True),
    Column("CRITICAL", right=True),
    Column("VERSIONS", optional=True),
)


@click.command()
@json_output("the list as JSON, in the shape of the reply to hub.services")
@connection()
def services(urls: list[str], timeout: float, as_json: bool) -> None:
    """List the services, and how they are."""
    found = run(_ask(urls, timeout))
    if as_json:
        output.print_json(found)
        return
    print_services(found.services)


def print_services(summaries: tuple[ServiceSummary, ...]) -> None:
    """Print services as a table; say so when there are none."""
    if summaries:
        output.print_table(_COLUMNS, [_row(summary) for summary in summaries])
    else:
        output.note("no service is registered")


async def all_services(session: Session) -> ServiceList:
    """Every service, page by page."""
    listed = await session.ask(subjects.SERVICES, Services(), ServiceList)
    summaries = list(listed.services)
    while listed.next:
        listed = await session.ask(subjects.SERVICES, Services(after=listed.next), ServiceList)
        summaries += listed.services
    return msgspec.structs.replace(listed, services=tuple(summaries), next=None)


def _row(summary: ServiceSummary) -> list[Cell | str]:
    return [
        summary.name,
        output.count(summary.instances),
        output.count(summary.passing, "green"),
        output.count(summary.warning, "yellow"),
        output.count(summary.critical, "bold red"),
        ", ".join(summary.versions),
    ]


async def _ask(urls: list[str], timeout: float) -> ServiceList:
    async with connected(urls, timeout) as session:
        return await all_services(session)
