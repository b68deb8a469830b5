from __future__ import annotations

from typing import Any

import click

from hub.cli.config.arguments import only_at, place_given, scope, signed
from hub.cli.config.asking import change, present, report
from hub.cli.config.places import NotAPlace, Place, given, in_list, patch, pointer
from hub.cli.config.trying import tried
from hub.cli.options import connection, json_output
from hub.errors import InvalidRequest
from hub.wire import subjects
from hub.wire.canary import CanaryPlan
from hub.wire.config import (
    ConfigChange,
    PatchConfig,
)


def _pairs(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[Place, Any], ...]:
    try:
        return tuple(map(given, values))
    except NotAPlace as error:
        raise click.BadParameter(str(error)) from None


@click.command("set")
@scope
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1, callback=_pairs)
@click.option(
    "--unset",
    multiple=True,
    metavar="KEY",
    callback=place_given,
    help="Take back what was put there, so that the layers below show; may be repeated.",
)
@only_at
@tried
@signed
@json_output("what was changed as JSON, in the shape of the reply to hub.config.patch")
@connection()
def set_(
    urls: list[str],
    timeout: float,
    as_json: bool,
    service: str,
    pairs: tuple[tuple[Place, Any], ...],
    unset: tuple[Place, ...],
    revision: int | None,
    canary: CanaryPlan | None,
    author: str,
    reason: str,
    dry_run: bool,
) -> None:
    """Change values of SERVICE, or of _all, and leave the others as they are.

    A KEY is written risk.max_leverage, or /risk/max_leverage where a key has dots in it. A VALUE is JSON where it can
    be read as JSON, else text: 3, true, [1,2], fast, '"3"'. An object is laid over the one that is there, key by key; a
    list takes the place of the whole list. A secret is set by name, as '{"$secret": "db-password"}'.

    With --canary some instances try it first. After --bake it is put for all, by itself; where one of them refuses it
    or becomes critical it is taken back, by itself. `hub config promote` and `abort` do not wait for that.
    """
    if not (pairs or unset):
        raise click.UsageError("Give KEY=VALUE, or --unset KEY.")
    changes = [*pairs, *((keys, None) for keys in unset)]
    try:
        values = patch(changes)
    except NotAPlace as error:
        raise click.UsageError(str(error)) from None
    _refuse_elements(urls, timeout, service, [keys for keys, _ in changes])
    question = PatchConfig(
        changes=(ConfigChange(service=service, values=values, revision=revision),),
        canary=canary,
        author=author,
        reason=reason,
        dry_run=dry_run,
    )
    done = change(urls, timeout, subjects.CONFIG_PATCH, question, service=service, expected=revision)
    report(done, as_json=as_json, dry_run=dry_run)


def _refuse_elements(urls: list[str], timeout: float, service: str, places: list[Place]) -> None:
    """A patch cannot reach into a list: it would put an object in its place."""
    if not any(key.isdecimal() for keys in places for key in keys):
        return
    values = present(urls, timeout, service).values
    for keys in places:
        if (within := in_list(values, keys)) is not None:
            raise InvalidRequest(f"{pointer(keys)} is within the list {pointer(within)}, which is only set as a whole")
