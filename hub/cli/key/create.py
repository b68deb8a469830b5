from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from hub.cli.config.asking import ask
from hub.cli.key.arguments import into_file, show, signed
from hub.cli.options import connection, json_output
from hub.wire import subjects
from hub.wire.keys import LONGEST_TTL, CreateKey, IssuedKey
from hub.wire.roles import CALLER_ROLES, CallerRole


@click.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice(CALLER_ROLES), default="external", show_default=True, help="What its owner may be."
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="RIGHT",
    help="What it is good for, of all that its role may do; may be repeated. Without it, all of that.",
)
@click.option(
    "--ttl",
    type=click.FloatRange(min=1, max=LONGEST_TTL),
    metavar="SECONDS",
    help="How long it is valid; or --expires. Without both it is until it is revoked.",
)
@click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]),
    metavar="TIME",
    help="Until when it is valid: 2027-01-31, or 2027-01-31T12:00:00; in UTC unless it says otherwise.",
)
@into_file
@signed
@json_output("the key as JSON, in the shape of the reply to hub.key.create; with --out without the key itself")
@connection()
def create(
    urls: list[str],
    timeout: float,
    as_json: bool,
    name: str,
    role: CallerRole,
    scopes: tuple[str, ...],
    ttl: float | None,
    expires: datetime | None,
    out: Path | None,
    author: str,
    reason: str,
) -> None:
    """Make an API key for NAME, and show it: this once, since only its hash is kept.

    Whoever has it is `<role>:<NAME>` to the hub. It is given to NATS as the token of the connection, and on HTTP as
    `Authorization: Bearer`.
    """
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    question = CreateKey(
        name=name, role=role, scopes=scopes or None, ttl=ttl, expires=expires, author=author, reason=reason
    )
    show(ask(urls, timeout, subjects.KEY_CREATE, question, IssuedKey), out, as_json=as_json)
