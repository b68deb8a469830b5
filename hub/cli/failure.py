"""What a command says and returns when it does not do what was asked."""

from __future__ import annotations

from typing import Final

import click

from hub.cli import output
from hub.errors import DeadlineExceeded, HubError, NoInstance, NotFound, Unavailable
from hub.wire import fault

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOTHING_FOUND: Final = 3
NOBODY_ANSWERS: Final = 4
INTERRUPTED: Final = 130
"""What a shell reports for a program that SIGINT ended (128 + 2)."""

_JSON = "hub.cli.json"


class NobodyAnswers(Unavailable):
    """Neither NATS nor a hub is there to take the request. (A hub that answers `unavailable` is there.)"""


class AnsweredTooLate(DeadlineExceeded):
    """Somebody may be there, and did not answer within the time given."""


def exit_code(error: HubError) -> int:
    """The exit code that tells a script what kind of failure this is."""
    if isinstance(error, (NobodyAnswers, AnsweredTooLate)):
        return NOBODY_ANSWERS
    return NOTHING_FOUND if isinstance(error, (NotFound, NoInstance)) else FAILED


def tell(error: HubError, *, as_json: bool) -> None:
    """Say on stderr what went wrong: one line for people, or the error reply of the wire contract for machines."""
    if as_json:
        body, _ = fault.encode(error)
        click.echo(body.decode(), err=True)
    else:
        sent = error.request_id and not isinstance(error, NobodyAnswers)  # an id that no hub has seen helps nobody
        request = f" (request {output.printable(error.request_id)})" if sent else ""
        click.echo(f"hub: {output.printable(' '.join(error.message.split()))}{request}", err=True)


def warn(what: str) -> None:
    """Say on stderr what should be mended, and does not keep the command from running."""
    click.echo(f"hub: warning: {output.printable(what)}", err=True)


def want_json(ctx: click.Context, wanted: bool) -> None:
    """Remember, for every level of the command, whether it was asked for JSON."""
    ctx.meta[_JSON] = wanted


def wants_json(ctx: click.Context) -> bool:
    """Whether the command was asked for JSON."""
    return bool(ctx.meta.get(_JSON))
