"""The command `hub components`: which verbs there are."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.group import LazyGroup, Verb

VERBS: Final = {
    "list": Verb("hub.cli.components.list_:list_", "List the files of a version."),
    "history": Verb("hub.cli.components.history:history", "Show who published what, when, and why."),
    "get": Verb("hub.cli.components.get:get", "Print a file, or save it."),
    "publish": Verb("hub.cli.components.publish:publish", "Publish a folder of this machine."),
    "rollback": Verb("hub.cli.components.rollback:rollback", "Make an earlier version the newest."),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def components() -> None:
    """Show and publish the files that services share."""
