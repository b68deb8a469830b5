"""The arguments and options that verbs of `hub config` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hub.cli.config.places import NotAPlace, place
from hub.cli.options import user
from hub.wire.config import EVERYBODY
from hub.wire.names import is_service_name

F = TypeVar("F", bound=Callable[..., Any])


def scope(command: F) -> F:
    """Add SERVICE, which may be `_all`: parameter `service` (str)."""
    return click.argument("service", callback=scope_name)(command)


def service(command: F) -> F:
    """Add SERVICE, which may not be `_all`: parameter `service` (str)."""
    return click.argument("service", callback=_service_name)(command)


def signed(command: F) -> F:
    """Add what every change takes: parameters `reason` and `author` (str), and `dry_run` (bool)."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Show what would change, and store nothing."),
        click.option("--author", metavar="NAME", default=user, show_default="you", help="Who; kept with the revision."),
        click.option("--reason", metavar="TEXT", default="", help="Why; kept with the revision."),
    ):
        command = option(command)
    return command


def only_at(command: F) -> F:
    """Add `--revision`: parameter `revision` (int or None)."""
    return click.option(
        "--revision",
        type=click.IntRange(min=0),
        metavar="N",
        help="Only if N is the newest revision of SERVICE (0: it has none), so that no change of others is lost.",
    )(command)


def unasked(command: F) -> F:
    """Add `--yes`: parameter `unasked` (bool)."""
    return click.option("--yes", "-y", "unasked", is_flag=True, help="Do not ask.")(command)


def scope_name(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """A callback for one scope, or several."""
    for name in value if isinstance(value, tuple) else [value]:
        if name is not None and name != EVERYBODY and not is_service_name(name):
            raise click.BadParameter(f"expected the name of a service, or {EVERYBODY}, got {name!r}")
    return value


def place_given(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """A callback for one place, or several: tuples of keys."""
    try:
        if isinstance(value, tuple):
            return tuple(map(place, value))
        return () if value in (None, "/") else place(value)
    except NotAPlace as error:
        raise click.BadParameter(str(error)) from None


def _service_name(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if not is_service_name(value):
        raise click.BadParameter(f"expected the name of a service, got {value!r}")
    return value
