from __future__ import annotations

import os

import click

from hub.vault.keys import KEY_BYTES, encoded


@click.command()
def keygen() -> None:
    """Print a fresh key: 32 random bytes in base64, on one line.

    It belongs into a file that its owner alone can read (`chmod 600`), which secrets.key_file names; every hub needs
    the same. Whoever loses it loses the secrets.
    """
    click.echo(encoded(os.urandom(KEY_BYTES)))
