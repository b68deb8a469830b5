from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from hub.cli import failure, output
from hub.cli.options import json_output
from hub.cli.output import Cell, Column
from hub.errors import HubError
from hub.wire.roles import Caller, parse_caller

_DEFAULT: Final = Path("config/static/access.toml")


def _caller(ctx: click.Context, parameter: click.Parameter, value: str) -> Caller:
    try:
        return parse_caller(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("who", callback=_caller)
@click.argument("subject")
@click.option("--payload", metavar="JSON", help="The message; an empty one where none is given.")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=_DEFAULT,
    envvar="HUB_ACCESS_FILE",
    show_default=True,
    show_envvar=True,
    help="What is declared; a file that is not there declares nothing.",
)
@json_output("the decision as JSON")
def explain(who: Caller, subject: str, payload: str | None, file: Path, as_json: bool) -> None:
    r"""Say whether WHO may use SUBJECT, and which rule says so. No hub is asked: the file alone is read.

    WHO is written as in the log: `service:engine`, `service:engine/a1` for one instance, `operator:ada`. Exits with 0
    where it may, with 1 where it may not.

    \b
    hub access explain service:api hub.discover --payload '{"name":"ledger"}'
    hub access explain external:partner hub.delta.config.ledger
    """
    from hub.core.policy import Policy
    from hub.settings.accessfile import load

    policy = Policy(load(file), file=str(file))
    try:
        decision = policy.decide(who, subject, (payload or "").encode())
    except HubError as error:
        raise click.BadParameter(error.message, param_hint="--payload") from None
    if as_json:
        output.print_json(decision)
    else:
        verdict = Cell("yes", "green") if decision.allowed else Cell("no", "bold red")
        columns = [Column("WHO"), Column("SUBJECT"), Column("ALLOWED"), Column("RULE"), Column("REASON")]
        output.print_table(columns, [[str(who), subject, verdict, decision.rule, decision.reason]])
    click.get_current_context().exit(failure.DONE if decision.allowed else failure.FAILED)
