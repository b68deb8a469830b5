from __future__ import annotations

from datetime import datetime
from typing import Final

import click

from hub.cli import output
from hub.cli.config.asking import ask
from hub.cli.options import connection, json_output
from hub.cli.output import Cell, Column
from hub.wire import subjects
from hub.wire.keys import Key, KeyList, ListKeys

_COLUMNS: Final = (
    Column("id"),
    Column("owner"),
    Column("state"),
    Column("scopes", optional=True),
    Column("age", right=True),
    Column("expires", optional=True),
    Column("used", right=True, optional=True),
    Column("author", optional=True),
    Column("reason", optional=True),
)
_STYLES: Final = {"valid": "green", "expired": "yellow", "revoked": "bold red"}


@click.command("list")
@json_output("the list as JSON, in the shape of the reply to hub.key.list")
@connection()
def list_(urls: list[str], timeout: float, as_json: bool) -> None:
    """List the API keys: whose they are, how long they are valid, and when they last let somebody in, to the minute."""
    found: list[Key] = []
    page = ask(urls, timeout, subjects.KEY_LIST, ListKeys(), KeyList)
    found += page.keys
    while page.next is not None:
        page = ask(urls, timeout, subjects.KEY_LIST, ListKeys(after=page.next), KeyList)
        found += page.keys
    if as_json:
        output.print_json(KeyList(keys=tuple(found)))
    elif found:
        now = output.now()
        found.sort(key=lambda key: (key.role, key.name, key.created))
        output.print_table(_COLUMNS, [_row(key, now) for key in found])
    else:
        output.note("there are no keys")


def _row(key: Key, now: datetime) -> list[Cell | str]:
    return [
        key.id,
        f"{key.role}:{key.name}",
        Cell(key.state, _STYLES[key.state]),
        ", ".join(key.scopes or ()),
        output.age(key.created, now),
        key.expires.isoformat(timespec="seconds") if key.expires else "",
        output.age(key.used, now) if key.used else "",
        key.author,
        key.reason,
    ]
