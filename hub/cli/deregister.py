from __future__ import annotations

import click

from hub.cli import output
from hub.cli.options import connection, json_output
from hub.cli.session import connected, run
from hub.wire import subjects
from hub.wire.registration import Deregister, Deregistered


@click.command()
@click.argument("name")
@click.argument("instance_id")
@click.option("--reason", metavar="TEXT", help="Why; it is told to those who watch.")
@json_output("the outcome as JSON, in the shape of the reply to hub.deregister")
@connection()
def deregister(urls: list[str], timeout: float, as_json: bool, name: str, instance_id: str, reason: str | None) -> None:
    """Take the instance INSTANCE_ID of the service NAME out of the registry.

    When there is no such instance the exit code is 3.
    """
    gone = run(_ask(urls, timeout, Deregister(name=name, instance_id=instance_id, reason=reason)))
    if as_json:
        output.print_json(gone)
    else:
        output.print_line([f"deregistered {name}/{instance_id} at revision {gone.revision}"])


async def _ask(urls: list[str], timeout: float, message: Deregister) -> Deregistered:
    async with connected(urls, timeout) as session:
        return await session.ask(subjects.DEREGISTER, message, Deregistered)
