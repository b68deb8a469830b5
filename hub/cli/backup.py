from __future__ import annotations

from pathlib import Path

import click

from hub.cli import output
from hub.cli.bar import progress
from hub.cli.options import connection, json_output
from hub.cli.session import connected, run
from hub.store import backup as store
from hub.version import __version__


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE where it is there already.")
@json_output("what FILE has, as its manifest says")
@connection()
def backup(urls: list[str], timeout: float, as_json: bool, file: Path, force: bool) -> None:
    """Write what cannot be told again to FILE: configuration with its history, secrets, and what operators want.

    What is registered is not in it: services register again. Secrets are in it encrypted, and the key is not. FILE can
    be read by its owner alone. `hub restore` puts it back.
    """
    manifest = run(_write(urls, timeout, file, force=force))
    if as_json:
        output.print_json(manifest)
        return
    for bucket, kept in manifest.buckets.items():
        output.print_line([f"{kept.entries:>8,}  {bucket}"])


async def _write(urls: list[str], timeout: float, file: Path, *, force: bool) -> store.Manifest:
    async with connected(urls, timeout) as session:
        with progress("reading") as step:
            return await store.write(
                session.client, file, hub=__version__, created=output.now(), replace=force, progress=step
            )
