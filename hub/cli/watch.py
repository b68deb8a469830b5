from __future__ import annotations

import contextlib

import click

from hub.cli import output
from hub.cli.changes import Change
from hub.cli.discover import print_instances
from hub.cli.options import connection, json_output, service_name
from hub.cli.output import Cell
from hub.cli.services import print_services
from hub.cli.session import connected, run
from hub.cli.watching import Inbox, Watching
from hub.wire.discovery import ServiceSummary
from hub.wire.names import PASSING


@click.command()
@click.argument("service", required=False, callback=service_name)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after so many changes.")
@click.option(
    "--initial/--no-initial",
    default=None,
    help="Show first what is there.  [default: --initial for people, --no-initial with --json]",
)
@json_output("one JSON object per change and line")
@connection()
def watch(
    urls: list[str], timeout: float, as_json: bool, service: str | None, count: int | None, initial: bool | None
) -> None:
    """Show what changes, as it changes: of SERVICE, or of every service and the hub itself.

    A lost connection comes back by itself; what was missed is then shown too. Ctrl-C ends it.
    """
    shown = not as_json if initial is None else initial
    run(_follow(urls, timeout, service, count=count, initial=shown, as_json=as_json))


async def _follow(
    urls: list[str], timeout: float, service: str | None, *, count: int | None, initial: bool, as_json: bool
) -> None:
    def say(text: str) -> None:
        output.note(text, as_json=as_json)

    inbox = Inbox()
    async with connected(
        urls, timeout, disconnected=inbox.lost, reconnected=inbox.back, error=inbox.trouble
    ) as session:
        watching = Watching(session, inbox, service, say)
        listed = await watching.begin()
        if initial:
            _print_present(watching, service, listed, as_json=as_json)
        say(f"watching {service or 'every service'} on {session.where}")
        async with contextlib.aclosing(watching.changes()) as changes:
            left = count
            async for change in changes:
                _print(change, as_json=as_json)
                left = left and left - 1
                if left == 0:
                    return


def _print_present(
    watching: Watching, service: str | None, listed: tuple[ServiceSummary, ...], *, as_json: bool
) -> None:
    """What is there before anything changes: one line each in JSON, else one table."""
    picture = watching.picture
    if as_json:
        for change in picture.presence(output.now()):
            output.print_json_line(change)
    elif service is None:
        print_services(listed)
    elif instances := picture.instances(service):
        print_instances(instances)
    else:
        output.note(f"no instance of {service!r} is registered")


def _print(change: Change, *, as_json: bool) -> None:
    if as_json:
        output.print_json_line(change)
    else:
        output.print_line(line(change))


def line(change: Change) -> list[Cell | str]:
    """A change in words: time of day, who, what, why."""
    who = f"{change.service}/{change.instance_id}"
    pieces: list[Cell | str] = [Cell(f"{change.time.astimezone():%H:%M:%S}", "dim"), f"  {who:<36}  ", *_what(change)]
    if change.fields and change.what == "status":
        pieces.append(f", with another {_listed(change.fields)}")
    return [*pieces, f"  ({change.reason})"] if change.reason else pieces


def _what(change: Change) -> list[Cell | str]:
    if change.status is None:
        gone: list[Cell | str] = [Cell("gone", "bold")]
        return gone if change.before in (None, PASSING) else [*gone, " (was ", output.status(change.before), ")"]
    if change.what == "registered":
        registered: list[Cell | str] = [Cell("registered", "bold"), f" at {change.url}"]
        return registered if change.status == PASSING else [*registered, ", ", output.status(change.status)]
    if change.what == "updated":
        return [Cell("updated", "bold"), f": {_listed(change.fields)}"]
    state: list[Cell | str] = [output.status(change.status)]
    return [output.status(change.before), " → ", *state] if change.before else state


def _listed(fields: tuple[str, ...]) -> str:
    return ", ".join(field.replace("_", " ") for field in fields)
