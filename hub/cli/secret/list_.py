from __future__ import annotations

from typing import Final

import click

from hub.cli import output
from hub.cli.config.asking import ask
from hub.cli.options import connection, json_output
from hub.cli.output import Cell, Column
from hub.wire import subjects
from hub.wire.secrets import ListSecrets, Secret, SecretList

_COLUMNS: Final = (
    Column("name"),
    Column("readers"),
    Column("revision", right=True),
    Column("age", right=True),
    Column("key"),
    Column("author", optional=True),
    Column("reason", optional=True),
)


@click.command("list")
@json_output("the list as JSON, in the shape of the reply to hub.secret.list")
@connection()
def list_(urls: list[str], timeout: float, as_json: bool) -> None:
    """List the secrets, who may read each, and the id of the key that it is encrypted with.

    A key that is not the current one is marked on a terminal: `hub secret rekey` mends that.
    """
    found: list[Secret] = []
    page = ask(urls, timeout, subjects.SECRET_LIST, ListSecrets(), SecretList)
    found += page.secrets
    while page.next is not None:
        page = ask(urls, timeout, subjects.SECRET_LIST, ListSecrets(after=page.next), SecretList)
        found += page.secrets
    if as_json:
        output.print_json(SecretList(secrets=tuple(found), key_id=page.key_id))
        return
    if found:
        output.print_table(_COLUMNS, [_row(secret, page.key_id) for secret in found])
    elif page.key_id is None:
        output.note("there are no secrets, and the hub has no key to encrypt any with: see `hub secret keygen --help`")
    else:
        output.note("there are no secrets")


def _row(secret: Secret, current: str | None) -> list[Cell | str]:
    return [
        secret.name,
        ", ".join(secret.readers),
        str(secret.revision),
        output.age(secret.at, output.now()),
        Cell(secret.key_id, "" if secret.key_id == current else "yellow"),
        secret.author,
        secret.reason,
    ]
