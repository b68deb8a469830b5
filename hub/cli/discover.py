from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

import click
import msgspec

from hub.cli import output
from hub.cli.options import connection, json_output
from hub.cli.output import Cell, Column
from hub.cli.session import Session, connected, run
from hub.errors import NoInstance, Unavailable
from hub.wire import subjects
from hub.wire.discovery import Discover, Discovered, Instance
from hub.wire.names import PASSING, Status, Strategy

_COLUMNS = (
    Column("SERVICE"),
    Column("INSTANCE"),
    Column("STATUS"),
    Column("SINCE", right=True),
    Column("URL"),
    Column("VERSION", optional=True),
    Column("ZONE", optional=True),
    Column("TAGS", optional=True),
    Column("WEIGHT", right=True),
    Column("LOAD", right=True, optional=True),
)
_ATTEMPTS = 3


@click.command()
@click.argument("name", default="")
@click.option("--tag", "tags", multiple=True, help="Only instances with this tag; may be repeated.")
@click.option("--capability", "capabilities", multiple=True, help="Only instances that can do this; may be repeated.")
@click.option("--version-range", "version", default="", metavar="RANGE", help="Only versions in it, as in '>=1.2,<2'.")
@click.option("--zone", help="Only instances of this zone; with the strategy nearest: preferably.")
@click.option(
    "--status",
    type=click.Choice([*get_args(Status), "any"]),
    default=PASSING,
    show_default=True,
    help="Only instances of this status. Where none is passing, `passing` shows the next best, and says so.",
)
@click.option(
    "--strategy",
    type=click.Choice(get_args(Strategy)),
    default="all",
    show_default=True,
    help="Show all, or let the hub pick as many as --limit says (one, where it says nothing).",
)
@click.option("--limit", type=click.IntRange(min=0), default=0, help="At most so many instances (0: no limit).")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Let the hub wait up to so long for --min-revision.",
)
@click.option(
    "--min-revision",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Answer as of this revision or a later one, such as the revision that `hub register` prints.",
)
@click.option("--first", "--url-only", "first", is_flag=True, help="Print the URL of one instance and nothing else.")
@json_output("the answer as JSON, in the shape of the reply to hub.discover")
@connection()
def discover(urls: list[str], timeout: float, as_json: bool, first: bool, limit: int, **asked: Any) -> None:
    """Find instances of a service.

    NAME may be left out where --tag or --capability say what is wanted. When nobody is found the exit code is 3.
    """
    if first and as_json:
        raise click.UsageError("--first prints a bare URL: it does not go with --json.")
    if not (asked["name"] or asked["tags"] or asked["capabilities"]):
        raise click.UsageError("Name a service, or give --tag or --capability to find instances of any.")
    query = Discover(limit=1 if first else limit, **asked)
    found = run(_ask(urls, timeout, query))
    if as_json:
        output.print_json(found)
    else:
        _remark(query, found)
    if not found.instances:
        raise NoInstance(_nobody(query))
    if first:
        click.echo(found.instances[0].url)
    elif not as_json:
        print_instances(found.instances)


async def every_page(session: Session, query: Discover) -> Discovered:
    """The answer to a query, put together from as many pages as it takes.

    A page of an older revision than the one before (another replica, which is behind) makes the whole begin again.
    """
    for _ in range(_ATTEMPTS):
        page = await session.ask(subjects.DISCOVER, query, Discovered, patience=query.wait)
        instances, degraded, revision = list(page.instances), page.degraded, page.revision
        while page.next and not 0 < query.limit <= len(instances) and page.revision >= revision:
            left = query.limit - len(instances) if query.limit else 0
            revision = page.revision
            further = msgspec.structs.replace(query, after=page.next, limit=left)
            page = await session.ask(subjects.DISCOVER, further, Discovered, patience=query.wait)
            instances += page.instances
            degraded |= page.degraded
        if page.revision >= revision:
            return msgspec.structs.replace(page, instances=tuple(instances), degraded=degraded)
    raise Unavailable(f"{subjects.DISCOVER}: the hubs do not agree yet on what is registered; try again")


def print_instances(instances: Sequence[Instance]) -> None:
    """Print instances as a table."""
    now = output.now()
    output.print_table(_COLUMNS, [_row(instance, now) for instance in instances])


def _row(instance: Instance, now: datetime) -> list[Cell | str]:
    return [
        instance.name,
        instance.instance_id,
        output.status(instance.status),
        output.age(instance.since, now),
        instance.url,
        instance.version,
        instance.zone or "",
        ", ".join(instance.tags),
        str(instance.weight),
        "" if instance.load is None else f"{instance.load:g}",
    ]


def _remark(query: Discover, found: Discovered) -> None:
    """Say what an answer falls short of."""
    if found.revision < query.min_revision:
        output.note(f"this is revision {found.revision}: {query.min_revision} was not reached within {query.wait:g} s")
    if found.degraded:
        output.note("degraded: too few instances are known to be well; what follows is the last choice")


def _nobody(query: Discover) -> str:
    wanted = f"instance of {query.name!r}" if query.name else "instance"
    filters = [*query.tags, *query.capabilities, query.version, query.zone or ""]
    if any(filters):
        wanted += " that is asked for so"
    if query.status == PASSING:
        return f"no {wanted} may be chosen; `--status any` shows those in trouble too"
    return f"no {wanted} is registered" if query.status == "any" else f"no {wanted} is {query.status}"


async def _ask(urls: list[str], timeout: float, query: Discover) -> Discovered:
    async with connected(urls, timeout) as session:
        return await every_page(session, query)
