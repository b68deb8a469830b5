"""Asking a hub about components, and how what it answers is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click
import msgspec

from hub.cli import output
from hub.cli.output import Cell, Column
from hub.cli.session import Session
from hub.wire import subjects
from hub.wire.components import ComponentFile, Components, ComponentsPublished, ComponentsVersion, GetComponents

F = TypeVar("F", bound=Callable[..., Any])
Row = list[Cell | str]

FILES: Final = (Column("PATH"), Column("SIZE", right=True), Column("SHA-256"), Column("MODE", optional=True))
VERSIONS: Final = (
    Column("REVISION", right=True),
    Column("KIND"),
    Column("AT"),
    Column("FILES", right=True),
    Column("BYTES", right=True),
    Column("AUTHOR", optional=True),
    Column("REASON", optional=True),
    Column("CHANGED", optional=True),
)
_MOST_PATHS: Final = 5


def of_revision(command: F) -> F:
    """Add `--revision`: parameter `revision` (int)."""
    return click.option(
        "--revision", type=click.IntRange(min=0), metavar="N", default=0, help="Of that version (0: of the newest)."
    )(command)


async def whole(session: Session, revision: int) -> Components:
    """A version with all its files, however many replies that takes.

    Raises:
        HubError: what the hub says.
    """
    first = page = await session.ask(subjects.COMPONENTS_GET, GetComponents(revision=revision), Components)
    files: list[ComponentFile] = list(page.files)
    while page.next is not None:
        query = GetComponents(revision=first.revision, after=page.next)
        page = await session.ask(subjects.COMPONENTS_GET, query, Components)
        files += page.files
    return msgspec.structs.replace(first, files=tuple(files), next=None)


def files(found: Sequence[ComponentFile]) -> list[Row]:
    """A row for each file."""
    return [[file.path, f"{file.size:,}", file.sha256, "executable" if file.executable else ""] for file in found]


def versions(found: Sequence[ComponentsVersion]) -> list[Row]:
    """A row for each version, with the time as the clock on the wall has it."""
    return [
        [
            str(each.revision),
            f"{each.kind} to {each.target}" if each.target else each.kind,
            f"{each.at.astimezone():%Y-%m-%d %H:%M:%S}",
            f"{each.files:,}",
            f"{each.bytes:,}",
            each.author,
            each.reason,
            _some(each.changed),
        ]
        for each in found
    ]


def report(done: ComponentsPublished, *, as_json: bool) -> None:
    """Print what was published."""
    if as_json:
        output.print_json(done)
    elif not done.changed:
        output.print_line([f"nothing had to be changed; revision {done.revision} has these files"])
    else:
        what = f"{done.files:,} files, {done.bytes:,} bytes; changed: {_some(done.changed)}"
        output.print_line([f"published as revision {done.revision}: {what}"])


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MOST_PATHS} more" if len(paths) > _MOST_PATHS else ""
    return ", ".join(paths[:_MOST_PATHS]) + more
