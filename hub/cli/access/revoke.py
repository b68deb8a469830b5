from __future__ import annotations

import click

from hub.cli import output
from hub.cli.access.whom import check_one, whom
from hub.cli.config.asking import ask
from hub.cli.key.arguments import signed
from hub.cli.options import connection, json_output
from hub.wire import subjects
from hub.wire.keys import AccessChanged, RevokeAccess


@click.command()
@whom
@signed
@json_output("what was revoked as JSON, in the shape of the reply to hub.access.revoke")
@connection()
def revoke(
    urls: list[str],
    timeout: float,
    as_json: bool,
    who: str | None,
    credential: str | None,
    author: str,
    reason: str,
) -> None:
    """Let WHO in no more, whatever he proves himself by, and close his connections.

    WHO is written as the hub writes callers: `operator:ada`, `service:engine` with all its instances,
    `service:engine/a1` for what was given to that instance alone. Every replica of the hub acts on it within a second.
    """
    check_one(who, credential)
    question = RevokeAccess(who=who, credential=credential, author=author, reason=reason)
    done = ask(urls, timeout, subjects.ACCESS_REVOKE, question, AccessChanged)
    if as_json:
        output.print_json(done)
    else:
        output.print_line([f"revoked {done.who or done.credential}"])
