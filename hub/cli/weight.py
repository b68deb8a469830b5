from __future__ import annotations

import click

from hub.cli.desired import change
from hub.cli.options import connection, json_output, unregistered, wish
from hub.wire import subjects


@click.command()
@click.argument("name")
@click.argument("instance_id")
@click.argument("weight", type=int, required=False)
@click.option("--reset", is_flag=True, help="Let the instance's own weight count again.")
@wish
@unregistered
@json_output("what is wanted then as JSON, in the shape of the reply to hub.admin.weight")
@connection()
def weight(urls: list[str], timeout: float, as_json: bool, weight: int | None, reset: bool, **message: object) -> None:
    """Give the instance INSTANCE_ID of the service NAME a WEIGHT in place of its own.

    A weight is its share with the strategy weighted, 0 to 10000, and 100 for who says nothing. When there is no such
    instance the exit code is 3.
    """
    if reset == (weight is not None):
        raise click.UsageError("Give either a weight or --reset.")
    change(urls, timeout, as_json, subjects.ADMIN_WEIGHT, message, weight=weight)
