from __future__ import annotations

import sys
from typing import BinaryIO

import click

from hub.cli import output
from hub.cli.config.asking import ask
from hub.cli.options import connection, json_output
from hub.cli.secret.arguments import name, signed
from hub.wire import subjects
from hub.wire.secrets import MAX_VALUE_BYTES, PutSecret, SecretChanged


@click.command()
@name
@click.option(
    "--reader",
    "readers",
    multiple=True,
    metavar="SERVICE",
    help="Who may read it: a service, or several, as in 'trading-*'; may be repeated. "
    "Without it those who may read it until now; a new secret needs one.",
)
@click.option(
    "--file", type=click.File("rb"), metavar="FILE", help="Where the value is; by default it is piped in, or asked for."
)
@click.option("--exact", is_flag=True, help="Keep the line end that the value ends with.")
@signed
@json_output("the new revision as JSON, in the shape of the reply to hub.secret.put")
@connection()
def put(
    urls: list[str],
    timeout: float,
    as_json: bool,
    name: str,
    readers: tuple[str, ...],
    file: BinaryIO | None,
    exact: bool,
    revision: int | None,
    author: str,
    reason: str,
) -> None:
    """Store the secret NAME, in place of the one that had this name. Services that use it get it at once.

    The value comes from a prompt, from what is piped in, or from a file; never from an argument, which everybody on the
    machine can see. One line end after it does not belong to it.
    """
    question = PutSecret(
        name=name,
        value=_value(file, name, exact=exact),
        readers=readers or None,
        author=author,
        reason=reason,
        revision=revision,
    )
    stored = ask(urls, timeout, subjects.SECRET_PUT, question, SecretChanged)
    if as_json:
        output.print_json(stored)
    else:
        output.print_line([f"stored {stored.name} as revision {stored.revision}"])


def _value(file: BinaryIO | None, name: str, *, exact: bool) -> str:
    if file is None and sys.stdin.isatty():
        typed: str = click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    data = (sys.stdin.buffer if file is None else file).read(MAX_VALUE_BYTES + 3)
    if not exact:
        data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not data:
        raise click.UsageError("Expected a value, got none.")
    if len(data) > MAX_VALUE_BYTES:
        raise click.UsageError(f"Expected a value of at most {MAX_VALUE_BYTES} bytes.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"Expected text in UTF-8, got another byte at {error.start}.") from None
