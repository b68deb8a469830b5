from __future__ import annotations

import click

from hub.cli.config.arguments import scope, signed, unasked
from hub.cli.config.asking import confirmed
from hub.cli.options import connection, json_output
from hub.wire import subjects
from hub.wire.config import PromoteCanary


@click.command()
@scope
@signed
@unasked
@json_output("what was changed as JSON, in the shape of the reply to hub.config.promote; needs --yes or --dry-run")
@connection()
def promote(
    urls: list[str],
    timeout: float,
    as_json: bool,
    service: str,
    author: str,
    reason: str,
    dry_run: bool,
    unasked: bool,
) -> None:
    """Put for all what some instances of SERVICE, or of _all, try; show what that changes, and ask first.

    What was changed in one step is promoted in one step. `hub config status` shows who tries it. When
    nothing is tried the exit code is 3.
    """
    question = PromoteCanary(service=service, author=author, reason=reason, dry_run=dry_run)
    confirmed(urls, timeout, as_json, subjects.CONFIG_PROMOTE, question, unasked=unasked)
