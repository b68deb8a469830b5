from __future__ import annotations

import click

from hub.cli.config.arguments import scope, signed, unasked
from hub.cli.config.asking import confirmed
from hub.cli.options import connection, json_output
from hub.wire import subjects
from hub.wire.config import AbortCanary


@click.command()
@scope
@signed
@unasked
@json_output("what was changed as JSON, in the shape of the reply to hub.config.abort; needs --yes or --dry-run")
@connection()
def abort(
    urls: list[str],
    timeout: float,
    as_json: bool,
    service: str,
    author: str,
    reason: str,
    dry_run: bool,
    unasked: bool,
) -> None:
    """Take back what some instances of SERVICE, or of _all, try; show what that changes, and ask first.

    What was changed in one step is taken back in one step. `hub config status` shows who tries it. When
    nothing is tried the exit code is 3.
    """
    question = AbortCanary(service=service, author=author, reason=reason, dry_run=dry_run)
    confirmed(urls, timeout, as_json, subjects.CONFIG_ABORT, question, unasked=unasked)
