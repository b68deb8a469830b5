from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from hub.cli import output
from hub.cli.config.arguments import scope_name
from hub.cli.config.list import all_configs
from hub.cli.options import connection, json_output
from hub.cli.session import Session, connected, run
from hub.errors import HubError
from hub.wire import subjects
from hub.wire.config import (
    Config,
    GetConfig,
)

_AT_ONCE: Final = 32


class NotWritten(HubError):
    """The file cannot be written."""

    code = "not_written"


@click.command()
@click.argument("services", metavar="[SERVICE]...", nargs=-1, callback=scope_name)
@click.option("--output", "-o", "file", metavar="FILE", help="Write to FILE, and not to stdout.")
@json_output("the same; what is exported is JSON in any case")
@connection()
def export(
    urls: list[str],
    timeout: float,
    as_json: bool,
    services: tuple[str, ...],
    file: str | None,
) -> None:
    """Print what was put as JSON, {service: values}, as `hub config import` takes it.

    Without SERVICE it is that of _all and of every service that has any, registered or not. Files, defaults and schemas
    are not in it. Secrets stand in it by name. `hub backup` keeps everything, with its history.
    """
    found = run(_ask(urls, timeout, services))
    if file is None:
        output.print_json(found)
        return
    try:
        Path(file).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    except OSError as error:
        raise NotWritten(f"{file}: cannot be written ({error.strerror})") from None
    output.note(f"wrote the configuration of {len(found)} to {file}", as_json=as_json)


async def _ask(urls: list[str], timeout: float, services: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    async with connected(urls, timeout) as session:
        names = list(dict.fromkeys(services)) or [scope.service for scope in (await all_configs(session)).scopes]
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            for config in await asyncio.gather(*(_present(session, name) for name in some)):
                if config.put or services:
                    found[config.service] = config.put
        return found


async def _present(session: Session, service: str) -> Config:
    return await session.ask(subjects.CONFIG_GET, GetConfig(service=service), Config)
