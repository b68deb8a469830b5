from __future__ import annotations

import click

from hub.cli import output
from hub.cli.access.whom import check_one, whom
from hub.cli.config.asking import ask
from hub.cli.key.arguments import signed
from hub.cli.options import connection, json_output
from hub.wire import subjects
from hub.wire.keys import AccessChanged, RestoreAccess


@click.command()
@whom
@signed
@json_output("what was restored as JSON, in the shape of the reply to hub.access.restore")
@connection()
def restore(
    urls: list[str],
    timeout: float,
    as_json: bool,
    who: str | None,
    credential: str | None,
    author: str,
    reason: str,
) -> None:
    """Let WHO in again, who was revoked. Where he was not, the exit code is 3."""
    check_one(who, credential)
    question = RestoreAccess(who=who, credential=credential, author=author, reason=reason)
    done = ask(urls, timeout, subjects.ACCESS_RESTORE, question, AccessChanged)
    if as_json:
        output.print_json(done)
    else:
        output.print_line([f"restored {done.who or done.credential}"])
