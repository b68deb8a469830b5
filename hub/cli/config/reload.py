from __future__ import annotations

import click

from hub.cli import output
from hub.cli.config import rendering
from hub.cli.config.asking import ask
from hub.cli.options import connection, json_output
from hub.errors import InvalidConfig
from hub.wire import subjects
from hub.wire.config import (
    ReloadConfig,
    Reloaded,
)


@click.command()
@json_output("what came of each file as JSON, in the shape of the reply to hub.config.reload")
@connection(timeout=30.0)
def reload(urls: list[str], timeout: float, as_json: bool) -> None:
    """Let the hub read its configuration files now, and show what came of each.

    Where one is refused, what it said before stays in force, and the exit code is 1.
    """
    found = ask(urls, timeout, subjects.CONFIG_RELOAD, ReloadConfig(), Reloaded)
    if as_json:
        output.print_json(found)
    elif found.files:
        output.print_table(rendering.FILES, rendering.files(found.files))
    else:
        output.note("the hub has no configuration files")
    refused = [file.service for file in found.files if file.outcome == "refused"]
    if refused:
        raise InvalidConfig(f"refused: {', '.join(refused)}. Mend the file; what it said before stays in force")
