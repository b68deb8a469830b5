from __future__ import annotations

from difflib import get_close_matches
from typing import Any, Final

import click
import msgspec
from msgspec import UNSET

from hub.cli import output
from hub.cli.config.arguments import scope
from hub.cli.flags.asking import flags_of, for_instance
from hub.cli.options import connection, json_output
from hub.cli.output import Cell, Column
from hub.core.flagexplaining import Step, explained
from hub.core.flags import Decision, Flags
from hub.errors import InvalidConfig, NotFound
from hub.wire.codec import abbreviated
from hub.wire.flags import TARGETING_KEY

_COLUMNS: Final = (Column("RULE", right=True), Column("OUTCOME"), Column("WHY"))
_STYLES: Final = {"matches": "green", "does not match": "", "not looked at": "dim"}


def _attributes(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """A callback: the attributes of `KEY=VALUE`; a value is JSON where it can be read as JSON, else text."""
    context: dict[str, Any] = {}
    for each in given:
        name, equals, written = each.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"expected KEY=VALUE, got {each!r}")
        try:
            context[name] = msgspec.json.decode(written)
        except (msgspec.MsgspecError, UnicodeError):
            context[name] = written
    return context


@click.command()
@scope
@click.argument("flag")
@click.option(
    "--attribute",
    "-a",
    "context",
    multiple=True,
    callback=_attributes,
    metavar="KEY=VALUE",
    help="An attribute of the context; JSON where it can be read so, else text. May be said again.",
)
@click.option("--targeting-key", "-t", "key", metavar="TEXT", help=f"The attribute {TARGETING_KEY}, always a text.")
@for_instance
@json_output("value, variant, reason and rule as JSON, and what became of each rule")
@connection()
def evaluate(
    urls: list[str],
    timeout: float,
    as_json: bool,
    service: str,
    flag: str,
    context: dict[str, Any],
    key: str | None,
    instance: str | None,
) -> None:
    """Show what FLAG of SERVICE comes to for a context, and what became of each of its rules.

    It is evaluated here, as the SDK does it, from the configuration that SERVICE is to run with. When there is no such
    flag the exit code is 3; when it cannot be evaluated, 1.
    """
    flags, revision = flags_of(urls, timeout, service, instance)
    if key is not None:
        context = {**context, TARGETING_KEY: key}
    decision, steps = _decided(flags, service, flag, context)
    if as_json:
        output.print_json(_as_json(flag, revision, decision, steps))
        return
    if steps:
        output.print_table(_COLUMNS, [_row(step) for step in steps])
    output.print_line([flag, " is ", Cell(_served(decision), "bold"), f" ({_reason(decision)})"])


def _decided(flags: Flags, service: str, name: str, context: dict[str, Any]) -> tuple[Decision, list[Step]]:
    if name in flags.broken:
        raise InvalidConfig(f"{service}: {flags.broken[name]}")
    flag = flags.flags.get(name)
    if flag is None:
        near = get_close_matches(name, flags.flags, n=1)
        raise NotFound(f"{service} has no flag {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
    return flag.decide(context), explained(flag, context)


def _row(step: Step) -> list[Cell | str]:
    return [str(step.rule), Cell(step.outcome, _STYLES[step.outcome]), step.why]


def _served(decision: Decision) -> str:
    if decision.value is UNSET:
        return "what the service gives as default"
    value = abbreviated(decision.value)
    return value if decision.variant is None else f"{value}, variant {decision.variant}"


def _reason(decision: Decision) -> str:
    return decision.reason if decision.rule is None else f"{decision.reason}, rule {decision.rule}"


def _as_json(flag: str, revision: int, decision: Decision, steps: list[Step]) -> dict[str, Any]:
    value = {} if decision.value is UNSET else {"value": decision.value}
    return {
        "flag": flag,
        "revision": revision,
        **value,
        "variant": decision.variant,
        "reason": decision.reason,
        "rule": decision.rule,
        "rules": [step._asdict() for step in steps],
    }
