from __future__ import annotations

import click

from hub.cli import output
from hub.cli.components import asking
from hub.cli.options import connection, json_output
from hub.cli.session import connected, run
from hub.errors import NotFound
from hub.wire.components import Components


@click.command("list")
@asking.of_revision
@json_output("the version as JSON, in the shape of the reply to hub.components.get")
@connection()
def list_(urls: list[str], timeout: float, as_json: bool, revision: int) -> None:
    """List the files of the newest version, or of an earlier one.

    When nothing was ever published, or the version is not kept, the exit code is 3.
    """
    found = run(_whole(urls, timeout, revision))
    if as_json:
        output.print_json(found)
    if not found.revision:
        raise NotFound("no components were ever published")
    if as_json:
        return
    output.print_table(asking.FILES, asking.files(found.files))
    output.note(f"revision {found.revision}: {found.count:,} files, {found.bytes:,} bytes")


async def _whole(urls: list[str], timeout: float, revision: int) -> Components:
    async with connected(urls, timeout) as session:
        return await asking.whole(session, revision)
