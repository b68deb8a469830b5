"""The command `hub key`: which verbs there are."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.group import LazyGroup, Verb

VERBS: Final = {
    "create": Verb("hub.cli.key.create:create", "Make a key, and show it this once."),
    "list": Verb("hub.cli.key.list_:list_", "List the keys, whose they are, and when they were last used."),
    "rotate": Verb("hub.cli.key.rotate:rotate", "Make a key in place of another, which stays valid for a while."),
    "revoke": Verb("hub.cli.key.revoke:revoke", "End a key, and the connections that it let in."),
}

_EPILOG = """\b
`hub key COMMAND --help` tells the rest.
"""


@click.group(cls=LazyGroup, verbs=VERBS, epilog=_EPILOG)
def key() -> None:
    """Make, list and end API keys."""
