from __future__ import annotations

import click

from hub.cli import output
from hub.cli.config import rendering
from hub.cli.config.arguments import scope
from hub.cli.config.asking import ask
from hub.cli.options import connection, json_output
from hub.wire import subjects
from hub.wire.config import (
    ConfigDiff,
    ConfigDiffQuery,
)


@click.command()
@scope
@click.argument("base", type=click.IntRange(min=0), default=0)
@click.argument("target", type=click.IntRange(min=0), default=0)
@json_output("the differences as JSON, in the shape of the reply to hub.config.diff")
@connection()
def diff(urls: list[str], timeout: float, as_json: bool, service: str, base: int, target: int) -> None:
    """Show in what two revisions of SERVICE, or of _all, differ: in what was put and in the file.

    Without BASE and TARGET it is what the last change did; without TARGET, all that was changed since BASE. When there
    is no such revision the exit code is 3.
    """
    found = ask(
        urls, timeout, subjects.CONFIG_DIFF, ConfigDiffQuery(service=service, base=base, target=target), ConfigDiff
    )
    if as_json:
        output.print_json(found)
        return
    if rows := rendering.differences(found.differences):
        output.print_table(rendering.DIFFERENCES, rows)
    same = "" if rows else ": no difference"
    output.print_line([f"{service}, from revision {found.base} to {found.target}{same}"])
