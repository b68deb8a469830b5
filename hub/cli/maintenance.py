from __future__ import annotations

import click

from hub.cli.desired import change
from hub.cli.options import connection, json_output, unregistered, wish
from hub.wire import subjects


@click.command()
@click.argument("switch", metavar="on|off", type=click.Choice(["on", "off"]))
@click.argument("name")
@click.argument("instance_id", required=False)
@wish
@unregistered
@json_output("what is wanted then as JSON, in the shape of the reply to hub.admin.maintenance")
@connection()
def maintenance(urls: list[str], timeout: float, as_json: bool, switch: str, **message: object) -> None:
    """Put the instance INSTANCE_ID of the service NAME into maintenance, or take it out; or every instance it has now.

    It is not chosen meanwhile. This holds until it is switched off, whatever restarts. When there is no such instance
    the exit code is 3.
    """
    change(urls, timeout, as_json, subjects.ADMIN_MAINTENANCE, message, on=switch == "on")
