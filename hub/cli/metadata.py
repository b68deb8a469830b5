from __future__ import annotations

from typing import Any

import click

from hub.cli.desired import change
from hub.cli.options import connection, json_output, metadata_pairs, unregistered, wish
from hub.wire import subjects


@click.command()
@click.argument("name")
@click.argument("instance_id")
@click.argument("pairs", metavar="[KEY=VALUE|JSON]...", nargs=-1, callback=metadata_pairs)
@click.option("--unset", multiple=True, metavar="KEY", help="Show the instance's own value again; may be repeated.")
@click.option("--reset", is_flag=True, help="Show all of the instance's own metadata again.")
@wish
@unregistered
@json_output("what is wanted then as JSON, in the shape of the reply to hub.admin.metadata")
@connection()
def metadata(
    urls: list[str],
    timeout: float,
    as_json: bool,
    pairs: dict[str, Any],
    unset: tuple[str, ...],
    reset: bool,
    **message: object,
) -> None:
    """Lay metadata over what the instance INSTANCE_ID of the service NAME says of itself, key by key.

    A value is key=text, or a JSON object whose keys are taken over. When there is no such instance the exit code is 3.
    """
    changes = pairs | dict.fromkeys(unset)
    if reset == bool(changes):
        raise click.UsageError("Give what to lay over or to --unset, or --reset alone.")
    change(urls, timeout, as_json, subjects.ADMIN_METADATA, message, metadata=None if reset else changes)
