from __future__ import annotations

import click

from hub.cli.config.arguments import only_at, scope, signed, unasked
from hub.cli.config.asking import confirmed
from hub.cli.options import connection, json_output
from hub.wire import subjects
from hub.wire.config import RollbackConfig


@click.command()
@scope
@click.argument("target", metavar="REVISION", type=click.IntRange(min=1))
@only_at
@signed
@unasked
@json_output("what was changed as JSON, in the shape of the reply to hub.config.rollback; needs --yes or --dry-run")
@connection()
def rollback(
    urls: list[str],
    timeout: float,
    as_json: bool,
    service: str,
    target: int,
    revision: int | None,
    author: str,
    reason: str,
    dry_run: bool,
    unasked: bool,
) -> None:
    """Put for SERVICE, or for _all, what was put at REVISION, as a new revision; show what that changes, and ask first.

    `hub config history` lists the revisions. What is put has to be valid by the present schema. When there is no such
    revision the exit code is 3.
    """
    question = RollbackConfig(
        service=service, target=target, revision=revision, author=author, reason=reason, dry_run=dry_run
    )
    confirmed(urls, timeout, as_json, subjects.CONFIG_ROLLBACK, question, unasked=unasked)
