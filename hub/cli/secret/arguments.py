"""The arguments and options that verbs of `hub secret` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hub.cli.options import user
from hub.wire.secrets import is_secret_name

F = TypeVar("F", bound=Callable[..., Any])


def name(command: F) -> F:
    """Add NAME: parameter `name` (str)."""
    return click.argument("name", callback=_secret_name)(command)


def signed(command: F) -> F:
    """Add what every change takes: parameters `revision` (int or None), `author` and `reason` (str)."""
    for option in (
        click.option("--reason", metavar="TEXT", default="", help="Why; kept with the secret, and in the event."),
        click.option(
            "--author", metavar="NAME", default=user, show_default="you", help="Who; kept with it, and in the event."
        ),
        click.option(
            "--revision",
            type=click.IntRange(min=0),
            metavar="N",
            help="Only if N is the newest revision of NAME (0: there is none).",
        ),
    ):
        command = option(command)
    return command


def _secret_name(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if not is_secret_name(value):
        raise click.BadParameter(f"expected 1..128 of A-Z, a-z, 0-9, '_' and '-', got {value!r}")
    return value
