from __future__ import annotations

import click
from msgspec import Struct

from hub.cli import output
from hub.cli.options import connection, json_output
from hub.errors import HubError
from hub.version import __version__
from hub.wire.channel import CONTRACT_VERSION


class Versions(Struct, frozen=True, kw_only=True):
    """What takes part, and in which version; `nats_server` is None where no NATS answers."""

    hub: str
    contract: str
    nats_server: str | None


@click.command()
@json_output("the versions as JSON")
@connection(timeout=0.5)
def version(urls: list[str], timeout: float, as_json: bool) -> None:
    """Show the versions of this command, of the wire contract, and of the NATS server where one answers."""
    versions = Versions(hub=__version__, contract=CONTRACT_VERSION, nats_server=_nats_server(urls, timeout))
    if as_json:
        output.print_json(versions)
        return
    output.print_line([f"hub {versions.hub}"])
    output.print_line([f"contract {versions.contract}"])
    output.print_line([f"nats-server {versions.nats_server or 'unknown (no NATS answers)'}"])


def _nats_server(urls: list[str], timeout: float) -> str | None:
    """The version of the NATS server that answers there, if one does."""
    from hub.cli.session import run

    try:
        return run(_ask(urls, timeout))
    except HubError:
        return None


async def _ask(urls: list[str], timeout: float) -> str:
    from hub.cli.session import connected

    async with connected(urls, timeout) as session:
        found = session.client.connected_server_version
        return f"{found.major}.{found.minor}.{found.patch}"
