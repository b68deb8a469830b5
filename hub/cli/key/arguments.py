"""The arguments and options that verbs of `hub key` and `hub access` share, and how a new key is shown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from hub.cli import output
from hub.cli.options import user
from hub.errors import HubError
from hub.wire.keys import KEY_ID_PATTERN, IssuedKey

F = TypeVar("F", bound=Callable[..., Any])

_ID: Final = re.compile(KEY_ID_PATTERN)


def key_id(command: F) -> F:
    """Add ID: parameter `key_id` (str)."""
    return click.argument("key_id", metavar="ID", callback=_key_id)(command)


def signed(command: F) -> F:
    """Add what every change takes: parameters `author` and `reason` (str)."""
    for option in (
        click.option("--reason", metavar="TEXT", default="", help="Why; kept with it, and in the event."),
        click.option(
            "--author", metavar="NAME", default=user, show_default="you", help="Who; kept with it, and in the event."
        ),
    ):
        command = option(command)
    return command


def into_file(command: F) -> F:
    """Add `--out`: parameter `out` (a path or None), where nothing may be yet."""
    return click.option(
        "--out",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        callback=_absent,
        help="Write the key to a new FILE that its owner alone can read, in place of showing it.",
    )(command)


def show(issued: IssuedKey, out: Path | None, *, as_json: bool) -> None:
    """Print a new key, or write it to a file and print the rest."""
    if out is not None:
        _write(out, issued)
        issued = msgspec.structs.replace(issued, key="")
    if as_json:
        output.print_json(issued)
        return
    output.print_line([issued.key if out is None else f"written to {out}"])
    output.note(f"the key {issued.id} of {issued.role}:{issued.name} is never shown again: only its hash is kept")
    if issued.replaces is not None and issued.overlap_until is not None:
        output.note(f"the key {issued.replaces} is valid until {issued.overlap_until.isoformat(timespec='seconds')}")


def _write(path: Path, issued: IssuedKey) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:
            file.write(f"{issued.key}\n")
    except OSError as error:
        raise HubError(
            f"{path}: cannot be written ({error.strerror}), and the key is lost; end it with "
            f"`hub key revoke {issued.id}`, and make another"
        ) from None


def _key_id(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if _ID.match(value) is None:
        raise click.BadParameter("expected the id of a key: the ten letters and digits after hk_, never the whole key")
    return value


def _absent(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.exists():
        raise click.BadParameter(f"{value} is there already")
    if value is not None and not value.parent.is_dir():
        raise click.BadParameter(f"there is no folder {value.parent}")
    return value
