from __future__ import annotations

from pathlib import Path

import click

from hub.cli.config.asking import ask
from hub.cli.key.arguments import into_file, key_id, show, signed
from hub.cli.options import connection, json_output
from hub.wire import subjects
from hub.wire.keys import IssuedKey, RotateKey


@click.command()
@key_id
@click.option(
    "--overlap",
    type=click.FloatRange(min=0, max=90 * 86_400.0),
    metavar="SECONDS",
    default=3600.0,
    show_default=True,
    help="How long both are valid.",
)
@into_file
@signed
@json_output("the key as JSON, in the shape of the reply to hub.key.rotate; with --out without the key itself")
@connection()
def rotate(
    urls: list[str],
    timeout: float,
    as_json: bool,
    key_id: str,
    overlap: float,
    out: Path | None,
    author: str,
    reason: str,
) -> None:
    """Make a key in place of the key ID, for the same owner, and show it this once.

    The old one stays valid for as long as they overlap; then the connections that it let in are closed. Where there is
    no such key, the exit code is 3.
    """
    question = RotateKey(id=key_id, overlap=overlap, author=author, reason=reason)
    show(ask(urls, timeout, subjects.KEY_ROTATE, question, IssuedKey), out, as_json=as_json)
