from __future__ import annotations

import contextlib
from typing import Final

import click
from click.core import ParameterSource

from hub.cli import output
from hub.cli.config import rendering, rollout
from hub.cli.config.arguments import service
from hub.cli.options import connection, json_output
from hub.cli.session import connected, run
from hub.errors import DeadlineExceeded, HubError, NotFound
from hub.wire.configstatus import ConfigStatus

_PATIENCE: Final = 60.0
_ANSWER: Final = 5.0


class Refused(HubError):
    """An instance cannot run with what is wanted."""

    code = "refused"
    status = 409


@click.command()
@service
@click.option("--wait", is_flag=True, help="Wait until every instance runs with what is wanted, or one has refused it.")
@click.option(
    "--revision",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    help="With --wait: for this revision or a later one, such as the one that `hub config set` prints.",
)
@click.option("--watch", is_flag=True, help="Show it again whenever it changes; Ctrl-C ends it.")
@json_output("the answer as JSON, in the shape of the reply to hub.config.status; of --watch, one on each line")
@connection(_ANSWER, also=f"; with --wait, for all instances (then {_PATIENCE:g} by default)")
@click.pass_context
def status(
    ctx: click.Context,
    urls: list[str],
    timeout: float,
    as_json: bool,
    service: str,
    wait: bool,
    revision: int,
    watch: bool,
) -> None:
    """Show which instance of SERVICE runs with which revision, since when, and who has refused what, and why.

    With --wait the exit code is 0 when all run with what is wanted, and 1 when one has refused it or the time is over.
    When no instance is registered it is 3.
    """
    if wait and watch:
        raise click.UsageError("--wait ends, --watch does not: say one of them.")
    if revision and not wait:
        raise click.UsageError("--revision goes with --wait.")
    if watch:
        run(_follow(urls, timeout, service, as_json=as_json))
        return
    if wait:
        given = ctx.get_parameter_source("timeout") is not ParameterSource.DEFAULT
        seconds = timeout if given else _PATIENCE
        found = run(_wait(urls, service, revision, seconds))
    else:
        found = run(_ask(urls, timeout, service))
    if as_json:
        output.print_json(found)
    elif found.instances:
        output.print_line(rendering.counts(found))
        output.print_table(rendering.STATUS, rendering.status(found.instances, output.now()))
    if not found.counts:
        raise NotFound(f"no instance of {service!r} is registered", field="service")
    if wait:
        _judge(found, revision, seconds)


def _judge(found: ConfigStatus, revision: int, seconds: float) -> None:
    """Return where all is well; else say who stands in the way, and what to do.

    Raises:
        Refused: somebody has refused what is wanted.
        DeadlineExceeded: the time is over.
    """
    outcome = rollout.decision(found, revision)
    if outcome == "applied":
        return
    wanted = max(found.wanted, revision)
    if outcome == "refused":
        refused = [each for each in found.instances if each.verdict == "refused"]
        raise Refused(
            f"{found.service}: revision {wanted} was refused by {rendering.names(refused)}. `hub config diff "
            f"{found.service}` shows what was changed; `hub config rollback {found.service} REVISION` goes back"
        )
    if found.wanted < revision:
        raise DeadlineExceeded(
            f"{found.service}: this hub has not heard of revision {revision} within {seconds:g} s, only of "
            f"{found.wanted}. `hub config history {found.service}` shows which there are"
        )
    late = [each for each in found.instances if each.verdict != "applied"]
    raise DeadlineExceeded(
        f"{found.service}: revision {wanted} was not applied within {seconds:g} s by {rendering.names(late)}. "
        f"`hub health {found.service}` shows how they are"
    )


async def _ask(urls: list[str], timeout: float, service: str) -> ConfigStatus:
    async with connected(urls, timeout) as session:
        return await rollout.every_page(session, service)


async def _wait(urls: list[str], service: str, revision: int, seconds: float) -> ConfigStatus:
    async with connected(urls, min(seconds, _ANSWER)) as session:
        with rollout.progress(service) as show:
            return await rollout.wait(session, service, revision, seconds, show)


async def _follow(urls: list[str], timeout: float, service: str, *, as_json: bool) -> None:
    async with connected(urls, timeout) as session, contextlib.aclosing(rollout.follow(session, service)) as changes:
        if not as_json and output.on_terminal():
            with rollout.live() as draw:
                async for found in changes:
                    draw(found)
            return
        async for found in changes:
            if as_json:
                output.print_json_line(found)
            else:
                output.print_line(rendering.counts(found))
                output.print_table(rendering.STATUS, rendering.status(found.instances, output.now()))
