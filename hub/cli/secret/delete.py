from __future__ import annotations

import sys

import click

from hub.cli import output
from hub.cli.config.arguments import unasked
from hub.cli.config.asking import ask
from hub.cli.options import connection, json_output
from hub.cli.secret.arguments import name, signed
from hub.wire import subjects
from hub.wire.secrets import DeleteSecret, SecretChanged


@click.command()
@name
@click.option("--force", is_flag=True, help="Even where configurations refer to it.")
@signed
@unasked
@json_output("the revision as JSON, in the shape of the reply to hub.secret.delete; needs --yes")
@connection()
def delete(
    urls: list[str],
    timeout: float,
    as_json: bool,
    name: str,
    force: bool,
    revision: int | None,
    author: str,
    reason: str,
    unasked: bool,
) -> None:
    """Take the secret NAME away, for good: no earlier value is kept.

    Where the configuration of a service refers to it, it stays, and the exit code is 1. When there is none it is 3.
    """
    if not unasked:
        if as_json or not sys.stdin.isatty():
            raise click.UsageError("Nobody can be asked here: say --yes to do it.")
        click.confirm(f"Delete the secret {name}?", abort=True, err=True)
    question = DeleteSecret(name=name, revision=revision, force=force, author=author, reason=reason)
    gone = ask(urls, timeout, subjects.SECRET_DELETE, question, SecretChanged)
    if as_json:
        output.print_json(gone)
    else:
        output.print_line([f"deleted {gone.name}"])
