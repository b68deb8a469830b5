from __future__ import annotations

import asyncio
from pathlib import Path

import click

from hub.cli.bar import progress
from hub.cli.components import asking
from hub.cli.options import connection, json_output, user
from hub.cli.session import connected, run
from hub.core.components import Bounds
from hub.errors import Conflict, InvalidRequest
from hub.store.folder import Folder, Scan, Unsettled
from hub.store.objects import ObjectStore
from hub.store.publication import upload
from hub.transport.requests import Requester
from hub.wire import subjects
from hub.wire.components import ComponentsPublished, PublishComponents

_MOST = Bounds(file=2**30, total=2**34)
"""What is read here; what may be published, the hub says."""
_SHOWN = 10


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--revision",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only if N is the newest revision (0: there is none), so that no version of others is lost.",
)
@click.option("--author", metavar="NAME", default=user, show_default="you", help="Who; kept with the version.")
@click.option("--reason", metavar="TEXT", default="", help="Why; kept with the version.")
@json_output("what was published as JSON, in the shape of the reply to hub.components.publish")
@connection(timeout=30.0)
def publish(
    urls: list[str],
    timeout: float,
    as_json: bool,
    folder: Path,
    revision: int | None,
    author: str,
    reason: str,
) -> None:
    """Publish what is in FOLDER as the newest version: all of it, and nothing else.

    The files go to JetStream first, those that are there already are not sent again; then a hub makes them the newest
    version, all at once. Hidden files and what editors leave behind are skipped. A folder that the hub watches itself
    is published again only when it changes.
    """
    request = PublishComponents(tree="0" * 64, author=author, reason=reason, revision=revision)
    asking.report(run(_publish(urls, timeout, Folder(folder, _MOST), request)), as_json=as_json)


async def _publish(urls: list[str], timeout: float, folder: Folder, request: PublishComponents) -> ComponentsPublished:
    try:
        scan = await asyncio.to_thread(folder.scan)
        _check(folder, scan)
        async with connected(urls, timeout) as session, Requester(session.client) as requester:
            with progress("sending", len({file.sha256 for file in scan.files})) as step:
                tree = await upload(ObjectStore(session.client, requester), folder, scan.files, step)
            request = PublishComponents(
                tree=tree, author=request.author, reason=request.reason, revision=request.revision
            )
            return await session.ask(subjects.COMPONENTS_PUBLISH, request, ComponentsPublished)
    except Unsettled as error:
        raise Conflict(f"{folder.path}: has changed while it was read ({error}); try again") from None


def _check(folder: Folder, scan: Scan) -> None:
    refused = [f"{path}: {reason}" for path, reason in scan.listing.refused.items()]
    if refused:
        more = f"; and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise InvalidRequest(f"nothing is published: {'; '.join(refused[:_SHOWN])}{more}")
    if not scan.files:
        raise InvalidRequest(f"{folder.path}: expected files, there are none")
