"""What a command prints: tables drawn on a terminal, aligned plain text in a pipe, JSON for machines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import msgspec

from hub.wire.names import CRITICAL, DRAINING, MAINTENANCE, PASSING, SUSPECT, WARNING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

NONE: Final = "-"
"""Stands in a plain table where there is no value, so that every line has as many columns."""

STATUS_STYLES: Final = {
    PASSING: "green",
    WARNING: "yellow",
    SUSPECT: "yellow",
    CRITICAL: "bold red",
    DRAINING: "cyan",
    MAINTENANCE: "cyan",
}


class Cell(NamedTuple):
    """A piece of text, and the style it has on a terminal."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; an optional one is left out on a terminal when it has no value in any row."""

    heading: str
    right: bool = False
    optional: bool = False


@dataclass(slots=True)
class Branch:
    """A line of a tree, and what hangs below it."""

    label: list[Cell]
    below: list[Branch] = field(default_factory=list)


def status(value: str | None) -> Cell:
    """A status in its colour; nothing where there is none."""
    return Cell(value or "", STATUS_STYLES.get(value or "", ""))


def count(value: int, style: str = "") -> Cell:
    """A number that is coloured only when it is not 0."""
    return Cell(str(value), style if value else "")


def printable(text: str) -> str:
    """The text with everything escaped that would command a terminal: services choose their own names and reasons."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def age(since: datetime, now: datetime) -> str:
    """The time between the two in its one or two largest units: `4s`, `3m`, `2h10m`, `4d`."""
    seconds = max(0, int((now - since).total_seconds()))
    if seconds < 60:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if hours < 1:
        return f"{minutes}m"
    if days < 1:
        return f"{hours}h{minutes % 60:02}m"
    return f"{days}d" if days >= 7 else f"{days}d{hours % 24:02}h"


def on_terminal() -> bool:
    """Whether stdout is a terminal that can draw."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]]) -> None:
    """Print rows under their headings."""
    if not on_terminal():
        for line in plain_lines(columns, [[_cell(value) for value in row] for row in rows]):
            click.echo(line)
        return
    from rich.console import Console

    Console(highlight=False).print(drawn(columns, rows))


def drawn(columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]]) -> Table:
    """A table as a terminal shows it. The library is imported here: a command in a pipe should not wait for it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [[_cell(value) for value in row] for row in rows]
    shown = [at for at, column in enumerate(columns) if not column.optional or any(row[at].text for row in cells)]
    table = Table(box=box.ROUNDED, header_style="bold")
    for at in shown:
        table.add_column(
            columns[at].heading.capitalize(), justify="right" if columns[at].right else "left", overflow="fold"
        )
    for row in cells:
        table.add_row(*(Text(row[at].text, style=row[at].style) for at in shown))
    return table


def plain_lines(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """A table as aligned text of two spaces between columns: no colour, no drawing, nothing cut."""
    table = [[column.heading for column in columns], *([cell.text or NONE for cell in row] for row in rows)]
    widths = [max(len(line[at]) for line in table) for at in range(len(columns))]
    return ["  ".join(_pad(columns, widths, line)).rstrip() for line in table]


def print_tree(roots: Sequence[Branch]) -> None:
    """Print trees, drawn where there is a terminal, else indented by two spaces a level."""
    if on_terminal():
        _draw_trees(roots)
        return
    rest = [(root, 0) for root in reversed(roots)]
    while rest:
        branch, level = rest.pop()
        click.echo("  " * level + "".join(_cell(cell).text for cell in branch.label))
        rest.extend((below, level + 1) for below in reversed(branch.below))


def print_line(pieces: Iterable[Cell | str]) -> None:
    """Print one line at once, with its styles where there is a terminal."""
    if not on_terminal():
        click.echo("".join(_cell(piece).text for piece in pieces))
        return
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(written(pieces))


def written(pieces: Iterable[Cell | str]) -> Text:
    """A line as a terminal shows it."""
    from rich.text import Text

    return Text.assemble(*((cell.text, cell.style) for cell in map(_cell, pieces)))


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_json_line(value: object) -> None:
    """Print a value as JSON on one line."""
    click.echo(msgspec.json.encode(value).decode())


def note(text: str, *, as_json: bool = False) -> None:
    """Say something on stderr that is neither result nor error; in JSON as `{"notice": text}`."""
    words = msgspec.json.encode({"notice": text}).decode() if as_json else f"hub: {printable(text)}"
    click.echo(words, err=True)


def now() -> datetime:
    """The time, as what is printed counts from it."""
    return datetime.now(UTC)


def _cell(value: Cell | str) -> Cell:
    return Cell(printable(value)) if isinstance(value, str) else Cell(printable(value.text), value.style)


def _pad(columns: Sequence[Column], widths: Sequence[int], line: Sequence[str]) -> list[str]:
    return [
        text.rjust(width) if column.right else text.ljust(width)
        for column, width, text in zip(columns, widths, line, strict=True)
    ]


def _draw_trees(roots: Sequence[Branch]) -> None:
    """Draw trees, without recursion: they may be deeper than Python's stack."""
    from rich.console import Console
    from rich.tree import Tree

    console = Console(highlight=False, soft_wrap=True)
    for root in roots:
        drawn = Tree(written(root.label), guide_style="dim")
        rest = [(drawn, root)]
        while rest:
            trunk, branch = rest.pop()
            rest.extend((trunk.add(written(below.label)), below) for below in branch.below)
        console.print(drawn)
