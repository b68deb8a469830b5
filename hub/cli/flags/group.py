"""The command `hub flags`: which verbs there are."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.group import LazyGroup, Verb

VERBS: Final = {
    "list": Verb("hub.cli.flags.list:list_", "List the feature flags of a service."),
    "evaluate": Verb("hub.cli.flags.evaluate:evaluate", "Show what a flag comes to for whom, and why."),
}

_EPILOG = """\b
Flags stand in the configuration of a service, under `flags`; `hub config` changes them.

\b
`hub flags COMMAND --help` tells the rest.
"""


@click.group(cls=LazyGroup, verbs=VERBS, epilog=_EPILOG)
def flags() -> None:
    """Show the feature flags of services, and what they come to."""
