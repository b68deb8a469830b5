from __future__ import annotations

import click
import msgspec

from hub.cli import output
from hub.cli.options import connection, json_output, service_name
from hub.cli.output import Cell, Column
from hub.cli.session import Session, connected, run
from hub.errors import NotFound
from hub.wire import subjects
from hub.wire.health import GetHealth, HealthList, HealthReport

_COLUMNS = (
    Column("SERVICE"),
    Column("INSTANCE"),
    Column("STATUS"),
    Column("SINCE", right=True),
    Column("CHECK", optional=True),
    Column("REASON", optional=True),
)


@click.command()
@click.argument("name", required=False, callback=service_name)
@click.option("--checks", "every_check", is_flag=True, help="Every check of every instance, not only what decided.")
@json_output("the answer as JSON, in the shape of the reply to hub.health")
@connection()
def health(urls: list[str], timeout: float, as_json: bool, name: str | None, every_check: bool) -> None:
    """Show how the instances of the service NAME are, or of all: since when, which check says so, and why.

    When there is no such service the exit code is 3.
    """
    found = run(_ask(urls, timeout, GetHealth(name=name or "")))
    if as_json:
        output.print_json(found)
    elif found.services:
        output.print_table(_COLUMNS, [row for report in found.services for row in _rows(report, every_check)])
    if not found.services:
        if name:
            raise NotFound(f"no instance of {name!r} is registered", field="name")
        output.note("no service is registered", as_json=as_json)


def _rows(report: HealthReport, every_check: bool) -> list[list[Cell | str]]:
    now = output.now()
    rows: list[list[Cell | str]] = []
    for instance in report.instances:
        since = output.age(instance.since, now)
        name: list[Cell | str] = [report.service, instance.instance_id]
        rows.append([*name, output.status(instance.status), since, instance.check, instance.reason])
        if every_check:
            rows += [
                [*name, output.status(check.status), output.age(check.since, now), check.name, check.output]
                for check in instance.checks
            ]
    if report.omitted:
        rows.append([report.service, f"and {report.omitted} more", "", "", "", ""])
    return rows


async def _ask(urls: list[str], timeout: float, query: GetHealth) -> HealthList:
    async with connected(urls, timeout) as session:
        return await _every_page(session, query)


async def _every_page(session: Session, query: GetHealth) -> HealthList:
    page = await session.ask(subjects.HEALTH, query, HealthList)
    reports = list(page.services)
    while page.next:
        page = await session.ask(subjects.HEALTH, msgspec.structs.replace(query, after=page.next), HealthList)
        reports += page.services
    return msgspec.structs.replace(page, services=tuple(reports))
