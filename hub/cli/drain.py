from __future__ import annotations

import click

from hub.cli.desired import change
from hub.cli.options import connection, json_output, unregistered, wish
from hub.wire import subjects


@click.command()
@click.argument("name")
@click.argument("instance_id", required=False)
@wish
@unregistered
@json_output("what is wanted then as JSON, in the shape of the reply to hub.admin.drain")
@connection()
def drain(urls: list[str], timeout: float, as_json: bool, **message: object) -> None:
    """Let the instance INSTANCE_ID of the service NAME be chosen no more, or every instance it has now.

    It stays registered and may finish what it has begun. This holds until `hub undrain`, whatever restarts meanwhile.
    When there is no such instance the exit code is 3.
    """
    change(urls, timeout, as_json, subjects.ADMIN_DRAIN, message)


@click.command()
@click.argument("name")
@click.argument("instance_id", required=False)
@wish
@json_output("what is wanted then as JSON, in the shape of the reply to hub.admin.undrain")
@connection()
def undrain(urls: list[str], timeout: float, as_json: bool, **message: object) -> None:
    """Let the instance INSTANCE_ID of the service NAME be chosen again, or every instance of it.

    One that does not drain is left as it is. When there is no such instance the exit code is 3.
    """
    change(urls, timeout, as_json, subjects.ADMIN_UNDRAIN, message)
