from __future__ import annotations

import click

from hub.cli import output
from hub.cli.components import asking
from hub.cli.options import connection, json_output
from hub.cli.session import connected, run
from hub.errors import NotFound
from hub.wire import subjects
from hub.wire.components import HISTORY, ComponentsHistory, ComponentsHistoryQuery


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=0, max=HISTORY), default=0, help="At most so many (0: all that are kept)."
)
@click.option(
    "--before", type=click.IntRange(min=0), metavar="N", default=0, help="Only revisions older than N (0: all)."
)
@json_output("the list as JSON, in the shape of the reply to hub.components.history")
@connection()
def history(urls: list[str], timeout: float, as_json: bool, limit: int, before: int) -> None:
    """Show who published the components: when, why, and what it changed; newest first.

    When there is nothing the exit code is 3.
    """
    found = run(_ask(urls, timeout, ComponentsHistoryQuery(limit=limit, before=before)))
    if as_json:
        output.print_json(found)
    if not found.versions:
        raise NotFound("no components were ever published" + (f" before revision {before}" if before else ""))
    if as_json:
        return
    output.print_table(asking.VERSIONS, asking.versions(found.versions))
    if found.next:
        output.note(f"there may be more: --before {found.next} shows them")


async def _ask(urls: list[str], timeout: float, query: ComponentsHistoryQuery) -> ComponentsHistory:
    async with connected(urls, timeout) as session:
        return await session.ask(subjects.COMPONENTS_HISTORY, query, ComponentsHistory)
