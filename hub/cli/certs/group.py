"""`hub certs`: certificates to try TLS with."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.group import LazyGroup, Verb

VERBS: Final = {
    "dev": Verb("hub.cli.certs.dev:dev", "Make a private CA and certificates to try TLS with."),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def certs() -> None:
    """Make certificates to try TLS with. In production they come from your own CA."""
