from __future__ import annotations

from pathlib import Path

import click

from hub.cli import output
from hub.cli.bar import progress
from hub.cli.options import connection, json_output
from hub.cli.session import connected, run
from hub.store import backup
from hub.store.restoring import Restoration
from hub.transport.requests import Requester


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Write over what is there; what FILE does not have stays.")
@json_output("what FILE has, as its manifest says")
@connection()
def restore(urls: list[str], timeout: float, as_json: bool, file: Path, force: bool) -> None:
    """Put back what `hub backup` wrote to FILE: configuration with its history, secrets, and what operators want.

    FILE is verified before anything is written, and nothing is where there is something already. Revisions get new
    numbers, higher than those in FILE.
    """
    found = backup.read(file)
    run(_restore(urls, timeout, found, force=force))
    if as_json:
        output.print_json(found.manifest)
        return
    for bucket, kept in found.manifest.buckets.items():
        output.print_line([f"{kept.entries:>8,}  {bucket}"])


async def _restore(urls: list[str], timeout: float, found: backup.Backup, *, force: bool) -> None:
    async with connected(urls, timeout) as session, Requester(session.client) as requester:
        with progress("writing", found.total) as step:
            await Restoration(session.client, requester, found, step).run(force=force)
