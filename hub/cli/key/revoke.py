from __future__ import annotations

import click

from hub.cli import output
from hub.cli.config.asking import ask
from hub.cli.key.arguments import key_id, signed
from hub.cli.options import connection, json_output
from hub.wire import subjects
from hub.wire.keys import AccessChanged, RevokeKey


@click.command()
@key_id
@signed
@json_output("what was revoked as JSON, in the shape of the reply to hub.key.revoke")
@connection()
def revoke(urls: list[str], timeout: float, as_json: bool, key_id: str, author: str, reason: str) -> None:
    """End the key ID at once, and close the connections that it let in. Where there is none, the exit code is 3.

    `hub access restore --credential key:ID` takes that back.
    """
    question = RevokeKey(id=key_id, author=author, reason=reason)
    done = ask(urls, timeout, subjects.KEY_REVOKE, question, AccessChanged)
    if as_json:
        output.print_json(done)
    else:
        output.print_line([f"revoked {done.credential}"])
