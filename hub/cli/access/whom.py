"""Whom the verbs of `hub access` are about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hub.wire.roles import parse_caller

F = TypeVar("F", bound=Callable[..., Any])


def whom(command: F) -> F:
    """Add WHO and `--credential`: parameters `who` and `credential` (str or None)."""
    decorate_credential = click.option(
        "--credential",
        metavar="CREDENTIAL",
        callback=_credential,
        help="A credential in place of a caller: nkey:<public key>, jwt:<issuer>/<jti or subject>, key:<id> or "
        "certificate:<sha256>.",
    )
    return click.argument("who", required=False, callback=_who)(decorate_credential(command))


def check_one(who: str | None, credential: str | None) -> None:
    """Refuse none of them, and both.

    Raises:
        click.UsageError: so it is.
    """
    if (who is None) == (credential is None):
        raise click.UsageError("Expected either WHO or --credential.")


def _who(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            parse_caller(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return value


def _credential(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and value.removeprefix("key:").startswith("hk_"):
        raise click.BadParameter("expected key:<id>, with the ten letters and digits after hk_, never the whole key")
    return value
