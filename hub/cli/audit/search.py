from __future__ import annotations

from datetime import datetime

import click

from hub.cli import output
from hub.cli.audit.asking import COLUMNS, Moment, row
from hub.cli.options import connection, json_output
from hub.cli.session import connected, run
from hub.errors import NotFound
from hub.wire import subjects
from hub.wire.audit import AuditEntry, AuditFound, SearchAudit


@click.command()
@click.option(
    "--caller", default="", help="Who: operator:ada; `service:engine*` for all that begin so; `-` for nobody."
)
@click.option("--host", default="", help="The address that the caller came from.")
@click.option("--subject", default="", help="What was asked: hub.config.put; `hub.config.*` for all that begin so.")
@click.option("--target", default="", help="Of what: a service, service/instance, scope, secret; `engine*` as above.")
@click.option("--outcome", default="", help="`ok`, the code of an error, or `refused` for all errors.")
@click.option("--since", type=Moment(), help="Not older than this: 2026-03-01T09:00, or 30m, 2h, 7d ago.")
@click.option("--until", type=Moment(), help="Older than this.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@click.option("--after", default="", metavar="PLACE", help="Go on where an answer before was cut.")
@json_output("the list as JSON, in the shape of the reply to hub.audit.search")
@connection()
def search(
    urls: list[str],
    timeout: float,
    as_json: bool,
    caller: str,
    host: str,
    subject: str,
    target: str,
    outcome: str,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    after: str,
) -> None:
    """Find entries of the audit, oldest first: who, from where, asked what, of what, and with which outcome.

    Where the hub keeps history in PostgreSQL, entries that NATS has let go of are found, too. When there is none the
    exit code is 3.
    """
    query = SearchAudit(
        caller=caller,
        host=host,
        subject=subject,
        target=target,
        outcome=outcome,
        since=since,
        until=until,
        limit=min(limit, 1000),
        after=after,
    )
    found = run(_search(urls, timeout, query, limit))
    if as_json:
        output.print_json(found)
    if not found.complete:
        output.note("there may be older ones in PostgreSQL, which cannot be read now", as_json=as_json)
    if not found.entries:
        raise NotFound("no entry of the audit is as asked for")
    if as_json:
        return
    output.print_table(COLUMNS, [row(entry) for entry in found.entries])
    if found.next:
        output.note(f"there may be more: --after {found.next} shows them")


async def _search(urls: list[str], timeout: float, query: SearchAudit, limit: int) -> AuditFound:
    """Ask on until so many are found, or all was looked through."""
    entries: list[AuditEntry] = []
    complete, following = True, query.after
    async with connected(urls, timeout) as session:
        while True:
            wanted = SearchAudit(
                **{
                    **{name: getattr(query, name) for name in query.__struct_fields__},
                    "after": following,
                    "limit": min(1000, limit - len(entries)),
                }
            )
            page = await session.ask(subjects.AUDIT_SEARCH, wanted, AuditFound)
            entries += page.entries
            complete = complete and page.complete
            if page.next is None or len(entries) >= limit:
                return AuditFound(entries=tuple(entries), complete=complete, next=page.next)
            following = page.next
