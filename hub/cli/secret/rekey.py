from __future__ import annotations

import click

from hub.cli import output
from hub.cli.config.asking import ask
from hub.cli.options import connection, json_output
from hub.errors import HubError
from hub.wire import subjects
from hub.wire.secrets import Rekeyed, RekeySecrets


@click.command()
@json_output("how many as JSON, in the shape of the reply to hub.secret.rekey")
@connection(timeout=60.0)
def rekey(urls: list[str], timeout: float, as_json: bool) -> None:
    """Encrypt with the current key whatever is encrypted with another.

    To change the key: put a fresh one (`hub secret keygen`) below the others in the key file of every hub, then above
    them, run this, and take the old one out when `hub secret list` names it no more. It can be run again at any time,
    and goes on where it was cut off. Where a secret can be read with none of the keys, the exit code is 1.
    """
    done = ask(urls, timeout, subjects.SECRET_REKEY, RekeySecrets(), Rekeyed)
    if as_json:
        output.print_json(done)
    else:
        output.print_line([f"{done.rekeyed} encrypted anew with the key {done.key_id}"])
    if done.unreadable:
        raise HubError(f"cannot be decrypted with any key of the hub: {', '.join(done.unreadable)}; put them again")
