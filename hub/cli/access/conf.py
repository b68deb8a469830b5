from __future__ import annotations

from pathlib import Path

import click

from hub.cli.access.folder import keys_folder
from hub.errors import InvalidRequest


@click.command()
@keys_folder
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it there instead of printing it.")
def conf(folder: Path, out: Path | None) -> None:
    """Print the accounts, and who is asked about logins, for the configuration of a NATS of your own.

    Every server of the cluster includes the same, in place of accounts and an authorization of its own. It has the
    public halves of the keys, and no secret. A newer hub may know more subjects: print it again, and reload the
    servers.
    """
    from hub.app import accesskeys
    from hub.core import accounts

    text = f"# Printed by `hub access conf`.\n{accounts.conf(accesskeys.read(folder).public)}"
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{out}: cannot be written ({error.strerror})") from None
    click.echo(f"{out}: written; have each server's configuration `include` it")
