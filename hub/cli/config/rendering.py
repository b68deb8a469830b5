"""What the verbs of `hub config` show, as rows of tables and lines. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from hub.cli import output
from hub.cli.config.places import found, place
from hub.cli.output import Cell, Column
from hub.wire.canary import CanaryState
from hub.wire.config import (
    EVERYBODY,
    ChangedScope,
    Config,
    ConfigChanged,
    ConfigDifference,
    ConfigRevision,
    FileOutcome,
    ListedConfig,
    Violation,
)
from hub.wire.configstatus import (
    ConfigStatus,
    InstanceConfig,
    Verdict,
)

Row = list[Cell | str]

DIFFERENCES: Final = (
    Column("PLACE"),
    Column("CHANGE"),
    Column("BEFORE", optional=True),
    Column("AFTER", optional=True),
)
SCOPED_DIFFERENCES: Final = (Column("SERVICE"), *DIFFERENCES)
VIOLATIONS: Final = (Column("PLACE"), Column("EXPECTED"), Column("GOT"))
ORIGINS: Final = (Column("PLACE"), Column("VALUE"), Column("FROM"))
HISTORY: Final = (
    Column("REVISION", right=True),
    Column("KIND"),
    Column("AT"),
    Column("AUTHOR", optional=True),
    Column("REASON", optional=True),
    Column("CHANGED"),
)
LISTED: Final = (
    Column("SERVICE"),
    Column("REVISION", right=True),
    Column("KIND"),
    Column("AT"),
    Column("SCHEMA"),
    Column("AUTHOR", optional=True),
    Column("REASON", optional=True),
)
FILES: Final = (Column("SERVICE"), Column("OUTCOME"), Column("REASON", optional=True))
STATUS: Final = (
    Column("INSTANCE"),
    Column("VERDICT"),
    Column("RUNNING", right=True),
    Column("SINCE", right=True),
    Column("TRIES", optional=True),
    Column("REFUSED", right=True, optional=True),
    Column("REASON", optional=True),
)

_SECRET: Final = "$secret"
_SECRET_STYLE: Final = "magenta"
_CHANGE_STYLES: Final = {"added": "green", "changed": "yellow", "removed": "red"}
_OUTCOME_STYLES: Final = {"applied": "green", "unchanged": "", "refused": "bold red"}
_VERDICT_STYLES: Final[dict[Verdict, str]] = {
    "applied": "green",
    "pending": "yellow",
    "refused": "bold red",
    "lagging": "bold red",
    "unknown": "cyan",
}
_MOST_PLACES: Final = 5
"""Places of one change that are shown in a row."""


def value(what: Any, pointer: str = "") -> Cell:
    """A value on one line: as JSON, or the name of the secret that it stands for."""
    if isinstance(what, dict) and what.keys() == {_SECRET}:
        return Cell(f"secret {what[_SECRET]}", _SECRET_STYLE)
    if pointer.endswith("/" + _SECRET):
        return Cell(f"secret {what}", _SECRET_STYLE)
    return Cell(msgspec.json.encode(what).decode())


def differences(found: Iterable[ConfigDifference]) -> list[Row]:
    """A row for each place that differs."""
    return [
        [
            _shown(each.path),
            Cell(each.change, _CHANGE_STYLES[each.change]),
            "" if each.change == "added" else value(each.before, each.path),
            "" if each.change == "removed" else value(each.after, each.path),
        ]
        for each in found
    ]


def scoped_differences(scopes: Iterable[ChangedScope]) -> list[Row]:
    """A row for each place in which a service will run with something else."""
    return [[scope.service, *row] for scope in scopes for row in differences(scope.differences)]


def violations(found: Iterable[Violation]) -> list[Row]:
    """A row for each place that is not as the schema wants it."""
    return [[_shown(each.path), each.expected, Cell(each.got, "bold red")] for each in found]


def origins(config: Config, within: tuple[str, ...] = ()) -> list[Row]:
    """A row for each value that is no object, with the layer that it comes from."""
    rows: list[Row] = []
    for pointer, layer in sorted(config.origins.items()):
        keys = place(pointer) if pointer else ()
        if keys[: len(within)] == within:
            rows.append([_shown(pointer), value(found(config.values, keys), pointer), layer])
    return rows


def files(outcomes: Iterable[FileOutcome]) -> list[Row]:
    """A row for each file that the hub has read."""
    return [[each.service, Cell(each.outcome, _OUTCOME_STYLES[each.outcome]), each.reason] for each in outcomes]


def listed(scopes: Iterable[ListedConfig]) -> list[Row]:
    """A row for each scope, with the time as the clock on the wall has it."""
    return [
        [
            each.service,
            str(each.own_revision),
            each.kind,
            f"{each.at.astimezone():%Y-%m-%d %H:%M:%S}",
            "yes" if each.has_schema else "no",
            each.author,
            each.reason,
        ]
        for each in scopes
    ]


def history(revisions: Iterable[ConfigRevision]) -> list[Row]:
    """A row for each change, with the time as the clock on the wall has it."""
    return [
        [
            str(each.revision),
            each.kind,
            f"{each.at.astimezone():%Y-%m-%d %H:%M:%S}",
            each.author,
            each.reason,
            _places(each.changed),
        ]
        for each in revisions
    ]


def status(instances: Iterable[InstanceConfig], now: datetime) -> list[Row]:
    """A row for each instance."""
    return [
        [
            each.instance_id,
            Cell(each.verdict, _VERDICT_STYLES[each.verdict]),
            "" if each.running is None else str(each.running),
            output.age(each.since, now) if each.since else "",
            Cell("canary", "cyan") if each.canary else "",
            str(each.refused.revision) if each.refused else "",
            each.refused.reason if each.refused else "",
        ]
        for each in instances
    ]


def counts(status: ConfigStatus) -> list[Cell | str]:
    """What is wanted, and how many stand how."""
    pieces: list[Cell | str] = [f"{status.service}: revision {status.wanted} is wanted"]
    for verdict, style in _VERDICT_STYLES.items():
        if number := status.counts.get(verdict):
            pieces += [", ", Cell(f"{number} {verdict}", style)]
    if status.canary:
        pieces.append(f"; {canary(status.canary)}")
    return pieces


def canary(tried: CanaryState) -> str:
    """What is being tried, by whom, since when, and for how long."""
    target = tried.target
    whom = [
        *([f"{target.percent:g} %"] if target.percent < 100 else []),
        *([f"zone {_some(target.zones)}"] if target.zones else []),
        *([f"tags {_some(target.tags)}"] if target.tags else []),
        *([f"version {target.version}"] if target.version else []),
        *([f"instances {_some(target.instances)}"] if target.instances else []),
    ]
    since = f"{tried.since.astimezone():%H:%M:%S}"
    return f"a canary is tried by {', '.join(whom) or 'all'} since {since}, for {tried.bake:g} s"


def names(instances: Sequence[InstanceConfig]) -> str:
    """Some of the instances by name, each with what it refused, or how it stands."""
    said = [
        f"{each.instance_id} ({each.refused.reason or 'no reason given' if each.refused else each.verdict})"
        for each in instances[:_MOST_PLACES]
    ]
    return "; ".join(said) + _more(len(instances))


def summary(changed: ConfigChanged, *, dry_run: bool) -> str:
    """What a change comes to, in one line."""
    if dry_run:
        return f"nothing is stored; it would be for {_whom(changed)}"
    if not changed.revision:
        return "nothing had to be changed"
    return f"stored as revision {changed.revision}, for {_whom(changed)}"


def signature(author: str, at: datetime | None, reason: str, now: datetime) -> str:
    """Who changed something, how long ago, and why, as far as it is known."""
    said = [f"by {author}"] if author else []
    if at is not None:
        said.append(f"{output.age(at, now)} ago")
    return " ".join(said) + (f" ({reason})" if reason else "")


def _whom(changed: ConfigChanged) -> str:
    """Who runs with something else by a change."""
    touched = [scope for scope in changed.scopes if scope.differences]
    if not touched:
        return "nobody: what services run with stays the same"
    if any(scope.service == EVERYBODY and not scope.instances for scope in touched):
        return "every service"
    of_all = [scope for scope in touched if scope.service == EVERYBODY]  # of a canary these are all who try it
    instances = sum(scope.instances for scope in of_all or touched)
    if not instances:
        return f"nobody yet: no instance of {_some([scope.service for scope in touched])} is registered"
    return f"{instances} instance{'' if instances == 1 else 's'}"


def _shown(pointer: str) -> str:
    """A place as it is shown: a secret stands where its name is."""
    return pointer.removesuffix("/" + _SECRET) or "/"


def _places(pointers: Sequence[str]) -> str:
    return _some([_shown(pointer) for pointer in pointers])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_PLACES]) + _more(len(names))


def _more(count: int) -> str:
    return f" and {count - _MOST_PLACES} more" if count > _MOST_PLACES else ""
