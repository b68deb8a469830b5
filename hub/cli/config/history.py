"""`hub config history`: who changed the configuration of a service, when, why, and where."""

from __future__ import annotations

import click
import msgspec

from hub.cli import output
from hub.cli.config import rendering
from hub.cli.config.arguments import scope
from hub.cli.options import connection, json_output
from hub.cli.session import Session, connected, run
from hub.errors import NotFound
from hub.wire import subjects
from hub.wire.config import (
    MAX_REVISIONS,
    ConfigHistory,
    ConfigHistoryQuery,
)


@click.command()
@scope
@click.option(
    "--limit",
    type=click.IntRange(min=0, max=MAX_REVISIONS),
    default=0,
    help="At most so many (0: 64, which is what NATS keeps).",
)
@click.option(
    "--before", type=click.IntRange(min=0), metavar="N", default=0, help="Only revisions older than N (0: all)."
)
@click.option("--all", "whole", is_flag=True, help="All that are kept, be there ever so many.")
@json_output("the list as JSON, in the shape of the reply to hub.config.history")
@connection()
def history(urls: list[str], timeout: float, as_json: bool, service: str, limit: int, before: int, whole: bool) -> None:
    """Show who changed the configuration of SERVICE, or of _all: when, why, and where; newest first.

    NATS keeps the newest 64 revisions; a hub with a PostgreSQL has all of them. When there is nothing the exit code
    is 3.
    """
    if whole and limit:
        raise click.UsageError("--all and --limit cannot be had together.")
    query = ConfigHistoryQuery(service=service, limit=MAX_REVISIONS if whole else limit, before=before)
    found = run(_asked(urls, timeout, query, whole=whole))
    if as_json:
        output.print_json(found)
    if not found.revisions:
        raise NotFound(f"nothing was ever put for {service!r}" + (f" before revision {before}" if before else ""))
    if as_json:
        return
    output.print_table(rendering.HISTORY, rendering.history(found.revisions))
    if found.next:
        output.note(f"there may be more: --before {found.next} shows them, --all shows everything")
    if not found.complete:
        output.note("there may be older ones in PostgreSQL, which cannot be read now")


async def _asked(urls: list[str], timeout: float, query: ConfigHistoryQuery, *, whole: bool) -> ConfigHistory:
    async with connected(urls, timeout) as session:
        found = await _page(session, query)
        revisions = list(found.revisions)
        while whole and found.next:
            found = await _page(session, msgspec.structs.replace(query, before=found.next))
            revisions += found.revisions
        return msgspec.structs.replace(found, revisions=tuple(revisions))


async def _page(session: Session, query: ConfigHistoryQuery) -> ConfigHistory:
    return await session.ask(subjects.CONFIG_HISTORY, query, ConfigHistory)
