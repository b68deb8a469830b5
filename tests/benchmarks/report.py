"""What was measured, against what it is held: as a table for people and as JSON for machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from statistics import median
from typing import Any, Literal, NamedTuple

from rich.table import Table

from tests.benchmarks.rounds import ratio


class Bar(NamedTuple):
    """What a row has to reach: at least (`>=`) or at most (`<=`) so much, of its ratio or of its own figure."""

    sense: Literal[">=", "<="]
    value: float
    of: Literal["ratio", "figure"] = "ratio"

    def met(self, reached: float) -> bool:
        """Whether so much is enough."""
        return reached >= self.value if self.sense == ">=" else reached <= self.value


@dataclass(slots=True, kw_only=True)
class Row:
    """One measured thing. Medians of the rounds; no bar where it is shown only for comparison.

    Attributes:
        name: What it is.
        unit: Of both figures.
        ours: The figure of the hub or its SDK.
        baseline: The figure of the raw thing beside it; None where the bar is an absolute one.
        ratio: `ours / baseline`, the median over the rounds.
        bar: What it has to reach.
        rounds: Every single figure, by whom it is of.
    """

    name: str
    unit: str
    ours: float
    baseline: float | None = None
    ratio: float | None = None
    bar: Bar | None = None
    rounds: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def compared(cls, name: str, unit: str, ours: list[float], baseline: list[float], bar: Bar | None = None) -> Row:
        """A row of figures that were taken in turn."""
        return cls(
            name=name,
            unit=unit,
            ours=median(ours),
            baseline=median(baseline),
            ratio=ratio(ours, baseline),
            bar=bar,
            rounds={"ours": ours, "baseline": baseline},
        )

    @property
    def met(self) -> bool | None:
        """Whether the bar was reached; None without one."""
        if self.bar is None:
            return None
        reached = self.ratio if self.bar.of == "ratio" else self.ours
        assert reached is not None, f"{self.name}: a bar on a ratio needs a baseline"
        return self.bar.met(reached)


def as_json(rows: list[Row], machine: dict[str, Any], *, judged: bool) -> dict[str, Any]:
    """Everything, the single rounds included."""
    return {
        "machine": machine,
        "judged": judged,
        "rows": [{**asdict(row), "bar": row.bar and row.bar._asdict(), "met": row.met} for row in rows],
    }


def as_table(rows: list[Row], machine: dict[str, Any], *, judged: bool) -> Table:
    """One line per row."""
    facts = f"{machine['cores']} cores, Python {machine['python']}, nats-server {machine['nats_server']}"
    table = Table(title=f"Central Hub beside its raw baselines ({facts})", title_justify="left")
    table.add_column("what")
    for heading in ("ours", "baseline", "ratio", "bar"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for row in rows:
        table.add_row(
            row.name,
            _figure(row.ours, row.unit),
            _figure(row.baseline, row.unit),
            "" if row.ratio is None else f"{row.ratio:,.2f}",
            _bar(row),
            _verdict(row, judged=judged),
        )
    return table


def as_markdown(rows: list[Row], machine: dict[str, Any], day: date) -> str:
    """The same table for a document, with when and where it was measured."""
    facts = f"{machine['cores']} cores, CPython {machine['python']}, nats-server {machine['nats_server']}"
    lines = [f"On {day.isoformat()}, {facts}:", "", "| what | here | raw | ratio | bar |", "|---|---|---|---|---|"]
    for row in rows:
        bar = f"{_bar(row)}, {'met' if row.met else 'missed'}" if row.bar else ""
        figures = [_figure(row.ours, row.unit), _figure(row.baseline, row.unit)]
        share = "" if row.ratio is None else f"{row.ratio:,.2f}"
        lines.append(f"| {row.name} | {figures[0]} | {figures[1]} | {share} | {bar} |")
    return "\n".join(lines)


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f} {unit}"


def _bar(row: Row) -> str:
    if row.bar is None:
        return ""
    return f"{row.bar.sense} {row.bar.value:g}" + (f" {row.unit}" if row.bar.of == "figure" else "")


def _verdict(row: Row, *, judged: bool) -> str:
    if row.met is None:
        return "[dim]for comparison[/]"
    if not judged:
        return "[dim]not judged[/]"
    return "[green]met[/]" if row.met else "[bold red]missed[/]"
