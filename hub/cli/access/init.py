from __future__ import annotations

from pathlib import Path

import click

from hub.cli.access.folder import keys_folder


@click.command()
@keys_folder
def init(folder: Path) -> None:
    """Make the keys by which identities are proven, for hubs that serve on a NATS of your own.

    issuer.nk signs who is let in, by hub.nk and system.nk hubs log in, operator.nk is the first operator's. They are
    secrets: their owner alone can read them, and nothing of them is printed. All hubs of one NATS need the same first
    three, and operator.pub. Keys that are there already are never replaced.
    """
    from hub.app import accesskeys

    accesskeys.make(folder)
    click.echo(f"{folder}: keys made; take {folder / accesskeys.OPERATOR} to a safe place, no hub needs it")
    click.echo("next: hub access conf prints what the configuration of your nats-servers must include")
