"""The command `hub access`: which verbs there are."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.group import LazyGroup, Verb

VERBS: Final = {
    "explain": Verb("hub.cli.access.explain:explain", "Say whether somebody may do something, and by which rule."),
    "keygen": Verb("hub.cli.access.keygen:keygen", "Make a key that signs tokens, and the JWKS to verify them with."),
    "token": Verb("hub.cli.access.token:token", "Print a token that says who somebody is."),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def access() -> None:
    """Have everybody prove who he is, and say who may do what."""
