from __future__ import annotations

import click
import msgspec

from hub.cli import output
from hub.cli.config import rendering
from hub.cli.options import connection, json_output
from hub.cli.session import Session, connected, run
from hub.wire import subjects
from hub.wire.config import (
    ConfigList,
    ListConfigs,
)


@click.command("list")
@json_output("the list as JSON, in the shape of the reply to hub.config.list")
@connection()
def list_(urls: list[str], timeout: float, as_json: bool) -> None:
    """List the services that have a configuration, registered or not, and _all; and who changed them last."""
    found = run(_ask(urls, timeout))
    if as_json:
        output.print_json(found)
    elif found.scopes:
        output.print_table(rendering.LISTED, rendering.listed(found.scopes))
    else:
        output.note("nothing is configured")


async def all_configs(session: Session) -> ConfigList:
    """Every scope, page by page."""
    page = await session.ask(subjects.CONFIG_LIST, ListConfigs(), ConfigList)
    scopes = list(page.scopes)
    while page.next:
        page = await session.ask(subjects.CONFIG_LIST, ListConfigs(after=page.next), ConfigList)
        scopes += page.scopes
    return msgspec.structs.replace(page, scopes=tuple(scopes))


async def _ask(urls: list[str], timeout: float) -> ConfigList:
    async with connected(urls, timeout) as session:
        return await all_configs(session)
