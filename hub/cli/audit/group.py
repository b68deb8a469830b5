"""The command `hub audit`: which verbs there are."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.group import LazyGroup, Verb

VERBS: Final = {
    "tail": Verb("hub.cli.audit.tail:tail", "Show the newest entries, and follow."),
    "search": Verb("hub.cli.audit.search:search", "Find entries by who, what, when, and outcome."),
    "verify": Verb("hub.cli.audit.verify:verify", "Find what was done to the audit since it was written."),
    "head": Verb("hub.cli.audit.head:head", "Print what to keep elsewhere, to verify with."),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def audit() -> None:
    """Show who changed what and who was refused, and verify that nobody has touched the record of it."""
