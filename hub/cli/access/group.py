"""The command `hub access`: which verbs there are."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.group import LazyGroup, Verb

VERBS: Final = {
    "init": Verb("hub.cli.access.init:init", "Make the keys by which identities are proven."),
    "conf": Verb("hub.cli.access.conf:conf", "Print the accounts for a NATS of your own."),
    "explain": Verb("hub.cli.access.explain:explain", "Say whether somebody may do something, and by which rule."),
    "keygen": Verb("hub.cli.access.keygen:keygen", "Make a key that signs tokens, and the JWKS to verify them with."),
    "token": Verb("hub.cli.access.token:token", "Print a token that says who somebody is."),
    "revoke": Verb("hub.cli.access.revoke:revoke", "Let somebody in no more, and close his connections."),
    "restore": Verb("hub.cli.access.restore:restore", "Let him in again."),
    "revoked": Verb("hub.cli.access.revoked:revoked", "List who is let in no more."),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def access() -> None:
    """Prove who somebody is, and say who may do what."""
