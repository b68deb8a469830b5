"""The command `hub secret`: which verbs there are."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.group import LazyGroup, Verb

VERBS: Final = {
    "put": Verb("hub.cli.secret.put:put", "Store a secret, and who may read it."),
    "list": Verb("hub.cli.secret.list_:list_", "List the secrets, and who may read them; never what they are."),
    "delete": Verb("hub.cli.secret.delete:delete", "Take a secret away, for good."),
    "rekey": Verb("hub.cli.secret.rekey:rekey", "Encrypt everything with the current key."),
    "keygen": Verb("hub.cli.secret.keygen:keygen", "Print a fresh key."),
}

_EPILOG = """\b
A configuration refers to a secret as {"$secret": "NAME"}, wherever a text may stand.

\b
`hub secret COMMAND --help` tells the rest.
"""


@click.group(cls=LazyGroup, verbs=VERBS, epilog=_EPILOG)
def secret() -> None:
    """Store the secrets that configurations refer to, and say who may read them."""
