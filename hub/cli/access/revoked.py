from __future__ import annotations

from typing import Final

import click

from hub.cli import output
from hub.cli.config.asking import ask
from hub.cli.options import connection, json_output
from hub.cli.output import Column
from hub.wire import subjects
from hub.wire.keys import ListRevoked, Revocation, RevocationList

_COLUMNS: Final = (
    Column("revoked"),
    Column("age", right=True),
    Column("author", optional=True),
    Column("reason", optional=True),
)


@click.command()
@json_output("the list as JSON, in the shape of the reply to hub.access.list")
@connection()
def revoked(urls: list[str], timeout: float, as_json: bool) -> None:
    """List the callers and credentials that are let in no more."""
    found: list[Revocation] = []
    page = ask(urls, timeout, subjects.ACCESS_LIST, ListRevoked(), RevocationList)
    found += page.revoked
    while page.next is not None:
        page = ask(urls, timeout, subjects.ACCESS_LIST, ListRevoked(after=page.next), RevocationList)
        found += page.revoked
    if as_json:
        output.print_json(RevocationList(revoked=tuple(found)))
    elif found:
        now = output.now()
        output.print_table(
            _COLUMNS, [[_whom(each), output.age(each.at, now), each.author, each.reason] for each in found]
        )
    else:
        output.note("nobody is revoked")


def _whom(revocation: Revocation) -> str:
    return revocation.who or revocation.credential or ""
