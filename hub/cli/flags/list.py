from __future__ import annotations

from typing import Any, Final

import click

from hub.cli import output
from hub.cli.config.arguments import scope
from hub.cli.flags.asking import flags_of, for_instance
from hub.cli.options import connection, json_output
from hub.cli.output import Cell, Column
from hub.core.flags import Flag, Flags
from hub.wire.codec import abbreviated

_COLUMNS: Final = (
    Column("FLAG"),
    Column("TYPE"),
    Column("STATE"),
    Column("VARIANTS"),
    Column("RULES", right=True),
    Column("SERVED"),
    Column("DESCRIPTION", optional=True),
)


@click.command("list")
@scope
@for_instance
@json_output("the flags as JSON, in the order of their names")
@connection()
def list_(urls: list[str], timeout: float, as_json: bool, service: str, instance: str | None) -> None:
    """List the feature flags of SERVICE, or those that all share (_all), with what is served where no rule matches."""
    flags, revision = flags_of(urls, timeout, service, instance)
    if as_json:
        output.print_json({"service": service, "revision": revision, "flags": _as_json(flags)})
        return
    if not (flags.flags or flags.broken):
        output.note(f"{service} has no flags")
        return
    rows = {flag.name: _row(flag) for flag in flags.flags.values()}
    rows |= {name: _broken(name, why) for name, why in flags.broken.items()}
    output.print_table(_COLUMNS, [rows[name] for name in sorted(rows)])


def _row(flag: Flag) -> list[Cell | str]:
    definition, served = flag.definition, flag.otherwise
    if definition is None:
        return [flag.name, flag.kind, Cell("plain"), "", "0", abbreviated(served.value), ""]
    state = Cell("enabled", "green") if definition.enabled else Cell("disabled", "yellow")
    what = served.variant or "the default of the service"
    return [
        flag.name,
        flag.kind,
        state,
        ", ".join(definition.variants),
        str(len(definition.rules)),
        what,
        definition.description,
    ]


def _broken(name: str, why: str) -> list[Cell | str]:
    return [name, "", Cell("broken", "bold red"), "", "", "the default of the service", why]


def _as_json(flags: Flags) -> list[dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {
        name: {"name": name, "state": "broken", "reason": why} for name, why in flags.broken.items()
    }
    for name, flag in flags.flags.items():
        state = "plain" if flag.definition is None else "enabled" if flag.definition.enabled else "disabled"
        told[name] = {"name": name, "state": state, "type": flag.kind}
        if flag.definition is None:
            told[name]["value"] = flag.otherwise.value
        else:
            told[name] |= {"variant": flag.otherwise.variant, "definition": flag.definition}
    return [told[name] for name in sorted(told)]
