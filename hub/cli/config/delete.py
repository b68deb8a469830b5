from __future__ import annotations

import click

from hub.cli.config.arguments import only_at, scope, signed, unasked
from hub.cli.config.asking import confirmed
from hub.cli.options import connection, json_output
from hub.wire import subjects
from hub.wire.config import DeleteConfig


@click.command()
@scope
@only_at
@signed
@unasked
@json_output("what was changed as JSON, in the shape of the reply to hub.config.delete; needs --yes or --dry-run")
@connection()
def delete(
    urls: list[str],
    timeout: float,
    as_json: bool,
    service: str,
    revision: int | None,
    author: str,
    reason: str,
    dry_run: bool,
    unasked: bool,
) -> None:
    """Take back all that was put for SERVICE, or for _all; show what that changes, and ask first.

    What files, the schema and _all say remains, and so does the history: `hub config rollback` brings it back. When
    nothing was ever put the exit code is 3.
    """
    question = DeleteConfig(service=service, revision=revision, author=author, reason=reason, dry_run=dry_run)
    confirmed(urls, timeout, as_json, subjects.CONFIG_DELETE, question, unasked=unasked)
