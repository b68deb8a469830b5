from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from hub.cli import output
from hub.cli.config.arguments import scope_name
from hub.cli.options import connection, json_output
from hub.cli.services import all_services
from hub.cli.session import Session, connected, run
from hub.errors import HubError
from hub.wire import subjects
from hub.wire.config import EVERYBODY, Config, GetConfig

_AT_ONCE: Final = 32


class NotWritten(HubError):
    """The file cannot be written."""

    code = "not_written"


@click.command()
@click.argument("services", metavar="[SERVICE]...", nargs=-1, callback=scope_name)
@click.option(
    "--also",
    multiple=True,
    metavar="SERVICE",
    callback=scope_name,
    help="A service that is not registered now, besides all that are; may be repeated.",
)
@click.option("--output", "-o", "file", metavar="FILE", help="Write to FILE, and not to stdout.")
@json_output("the same; what is exported is JSON in any case")
@connection()
def export(
    urls: list[str],
    timeout: float,
    as_json: bool,
    services: tuple[str, ...],
    also: tuple[str, ...],
    file: str | None,
) -> None:
    """Print what was put as JSON, {service: values}, as `hub config import` takes it.

    Without SERVICE it is that of _all and of every service that is registered and has any. Files, defaults and schemas
    are not in it. Secrets stand in it by name. `hub backup` keeps everything, with its history.
    """
    if services and also:
        raise click.UsageError("Name the services, or give --also to all that are registered.")
    found = run(_ask(urls, timeout, services, also))
    if file is None:
        output.print_json(found)
        return
    try:
        Path(file).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    except OSError as error:
        raise NotWritten(f"{file}: cannot be written ({error.strerror})") from None
    output.note(f"wrote the configuration of {len(found)} to {file}", as_json=as_json)


async def _ask(
    urls: list[str], timeout: float, services: tuple[str, ...], also: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    async with connected(urls, timeout) as session:
        names = list(dict.fromkeys(services)) or await _known(session, also)
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            for config in await asyncio.gather(*(_present(session, name) for name in some)):
                if config.put or services:
                    found[config.service] = config.put
        return found


async def _known(session: Session, also: tuple[str, ...]) -> list[str]:
    listed = await all_services(session)
    return [EVERYBODY, *sorted({summary.name for summary in listed.services}.union(also) - {EVERYBODY})]


async def _present(session: Session, service: str) -> Config:
    return await session.ask(subjects.CONFIG_GET, GetConfig(service=service), Config)
