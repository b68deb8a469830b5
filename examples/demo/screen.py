"""What the demo shows: a line for each thing that happens, one live line of figures, a table in the end."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

_EVERY = 0.1
_EVERY_IN_A_PIPE = 1.0
"""Seconds between two states of the live line; in a pipe each is a line of its own."""


class Screen:
    """Colours and a line that changes in place on a terminal; plain lines anywhere else."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._began = self._shown = monotonic()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """Something happened."""
        self._print(self._stamped(text, style))

    def figures(self, text: str) -> None:
        """The live line, as it is now; may be called more often than it is shown."""
        now = monotonic()
        if now - self._shown < (_EVERY if self._console.is_terminal else _EVERY_IN_A_PIPE):
            return
        self._shown = now
        if self._console.is_terminal:
            self._live.update(self._stamped(text, "cyan"), refresh=True)
        else:
            self._print(self._stamped(text))

    def summary(self, rows: Sequence[tuple[str, str]], *, good: bool) -> None:
        """The end: `rows` are what was measured and how much it was."""
        self._live.update(Text(), refresh=self._live.is_started)
        if not self._console.is_terminal:
            for what, figure in rows:
                self._print(Text(f"{what}: {figure}"))
            return
        table = Table(show_header=False, border_style="green" if good else "red")
        for what, figure in rows:
            table.add_row(Text(what), Text(figure, "bold"))
        self._console.print(table)

    def _stamped(self, text: str, style: str = "") -> Text:
        return Text.assemble((f"{monotonic() - self._began:5.1f} s  ", "dim"), (text, style))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)
