from __future__ import annotations

import click

from hub.cli import output
from hub.cli.options import connection, json_output
from hub.cli.output import Cell, Column
from hub.cli.session import connected, run
from hub.wire import subjects
from hub.wire.audit import AuditHead, AuditHeads

_COLUMNS = (Column("CHAIN"), Column("NUMBER", right=True), Column("AT"), Column("HASH"))


@click.command()
@json_output("the heads as JSON, in the shape of the reply to hub.audit.head")
@connection()
def head(urls: list[str], timeout: float, as_json: bool) -> None:
    """Print the newest entry of every chain of the audit.

    Kept where nobody can write who can write to NATS and to PostgreSQL, `hub audit head --json` finds one day what
    nothing else would: `hub audit verify --head FILE`.
    """
    found = run(_ask(urls, timeout))
    if as_json:
        output.print_json(found)
        return
    rows: list[list[Cell | str]] = [
        [name, str(each.number), f"{each.at.astimezone():%Y-%m-%d %H:%M:%S}", each.hash]
        for name, each in sorted(found.heads.items(), key=lambda one: one[1].at)
    ]
    output.print_table(_COLUMNS, rows)


async def _ask(urls: list[str], timeout: float) -> AuditHeads:
    async with connected(urls, timeout) as session:
        return await session.ask(subjects.AUDIT_HEAD, AuditHead(), AuditHeads)
