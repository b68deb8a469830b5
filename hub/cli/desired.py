from __future__ import annotations

import click
import msgspec

from hub.cli import output
from hub.cli.options import connection, json_output
from hub.cli.output import Cell, Column
from hub.cli.session import Session, connected, run
from hub.errors import NotFound
from hub.wire import subjects
from hub.wire.admin import Desires, GetDesired, InstanceDesired

_COLUMNS = (
    Column("SERVICE"),
    Column("INSTANCE"),
    Column("STATUS", optional=True),
    Column("WANTED", optional=True),
    Column("WEIGHT", right=True, optional=True),
    Column("METADATA", optional=True),
    Column("REASON", optional=True),
    Column("AUTHOR", optional=True),
    Column("CHANGED", right=True, optional=True),
)


@click.command()
@click.argument("name", default="")
@click.argument("instance_id", required=False)
@json_output("what is wanted as JSON, in the shape of the reply to hub.admin.get")
@connection()
def desired(urls: list[str], timeout: float, as_json: bool, name: str, instance_id: str | None) -> None:
    """Show what operators want: of the service NAME, of its instance INSTANCE_ID, or of everybody.

    An instance without a status is not registered. When nothing is wanted the exit code is 3.
    """
    found = run(_every_page(urls, timeout, GetDesired(name=name, instance_id=instance_id)))
    if as_json:
        output.print_json(found)
    if not found.instances:
        raise NotFound("nothing is wanted of " + ("/".join(filter(None, (name, instance_id))) or "anybody"))
    if not as_json:
        print_desired(found)


def change(
    urls: list[str], timeout: float, as_json: bool, subject: str, target: dict[str, object], **wanted: object
) -> None:
    """Change what is wanted of the target, and print what is wanted then. Of the target, None is not said."""
    message = {field: value for field, value in target.items() if value is not None} | wanted
    done = run(_ask(urls, timeout, subject, message))
    if as_json:
        output.print_json(done)
        return
    print_desired(done)
    if done.next:
        output.note("there are more; `hub desired` with the name of the service shows them all")


def print_desired(desires: Desires) -> None:
    """Print what is wanted as a table."""
    output.print_table(_COLUMNS, [_row(instance) for instance in desires.instances])


def _row(instance: InstanceDesired) -> list[Cell | str]:
    wanted = instance.desired
    return [
        instance.name,
        instance.instance_id,
        output.status(instance.status),
        output.status(wanted.mode),
        "" if wanted.weight is None else str(wanted.weight),
        msgspec.json.encode(wanted.metadata).decode() if wanted.metadata else "",
        wanted.reason,
        wanted.author,
        output.age(wanted.changed_at, output.now()) if wanted.changed_at else "",
    ]


async def _ask(urls: list[str], timeout: float, subject: str, message: dict[str, object]) -> Desires:
    async with connected(urls, timeout) as session:
        return await session.ask(subject, message, Desires)


async def _every_page(urls: list[str], timeout: float, query: GetDesired) -> Desires:
    async with connected(urls, timeout) as session:
        page = await _page(session, query)
        instances = list(page.instances)
        while page.next:
            page = await _page(session, msgspec.structs.replace(query, after=page.next))
            instances += page.instances
        return Desires(instances=tuple(instances))


async def _page(session: Session, query: GetDesired) -> Desires:
    return await session.ask(subjects.ADMIN_GET, query, Desires)
