from __future__ import annotations

import click

from hub.cli import output
from hub.cli.config import rendering
from hub.cli.config.arguments import scope
from hub.cli.config.asking import ask
from hub.cli.options import connection, json_output
from hub.errors import NotFound
from hub.wire import subjects
from hub.wire.config import HISTORY, ConfigHistory, ConfigHistoryQuery


@click.command()
@scope
@click.option(
    "--limit", type=click.IntRange(min=0, max=HISTORY), default=0, help="At most so many (0: all that are kept)."
)
@click.option(
    "--before", type=click.IntRange(min=0), metavar="N", default=0, help="Only revisions older than N (0: all)."
)
@json_output("the list as JSON, in the shape of the reply to hub.config.history")
@connection()
def history(urls: list[str], timeout: float, as_json: bool, service: str, limit: int, before: int) -> None:
    """Show who changed the configuration of SERVICE, or of _all: when, why, and where; newest first.

    When there is nothing the exit code is 3.
    """
    query = ConfigHistoryQuery(service=service, limit=limit, before=before)
    found = ask(urls, timeout, subjects.CONFIG_HISTORY, query, ConfigHistory)
    if as_json:
        output.print_json(found)
    if not found.revisions:
        raise NotFound(f"nothing was ever put for {service!r}" + (f" before revision {before}" if before else ""))
    if as_json:
        return
    output.print_table(rendering.HISTORY, rendering.history(found.revisions))
    if found.next:
        output.note(f"there may be more: --before {found.next} shows them")
