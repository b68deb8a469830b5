from __future__ import annotations

import click

from hub.cli.config import documents
from hub.cli.config.arguments import only_at, scope_name, signed
from hub.cli.config.asking import change, report
from hub.cli.config.list import all_configs
from hub.cli.config.trying import tried
from hub.cli.options import connection, json_output
from hub.cli.services import all_services
from hub.cli.session import connected, run
from hub.errors import InvalidRequest, PayloadTooLarge
from hub.wire import subjects
from hub.wire.canary import CanaryPlan
from hub.wire.config import (
    MAX_CHANGES,
    ConfigChange,
    PutConfig,
)


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--service", callback=scope_name, help="FILE holds the values of this service alone, without its name around them."
)
@click.option("--new", is_flag=True, help="Take names in FILEs for services of which nothing is known yet.")
@only_at
@tried
@signed
@json_output("what was changed as JSON, in the shape of the reply to hub.config.put")
@connection()
def import_(
    urls: list[str],
    timeout: float,
    as_json: bool,
    files: tuple[str, ...],
    service: str | None,
    new: bool,
    revision: int | None,
    canary: CanaryPlan | None,
    author: str,
    reason: str,
    dry_run: bool,
) -> None:
    """Put what FILEs say, for all services in them in one step, or for none.

    A FILE is JSON, or TOML where its name ends so, and says {service: values}, as `hub config export` prints it; - is
    stdin, as JSON. A folder holds the values of each service in a file of its own, named <service>.json or
    <service>.toml. What is put takes the place of all that was put for the service before.

    A name in a FILE that is neither registered nor configured is refused, as it may be a section of one service's
    values: --service names that service, --new says that the names are services.
    """
    if service and len(files) > 1:
        raise click.UsageError("--service goes with one FILE.")
    found, sections = documents.scopes(files) if not service else ({service: documents.read(files[0])}, {})
    if sections and not new:
        documents.refuse_unknown(sections, run(_known(urls, timeout)))
    if revision is not None and len(found) > 1:
        raise click.UsageError("--revision goes with one service.")
    if len(found) > MAX_CHANGES:
        raise InvalidRequest(f"{len(found)} services are more than one step can change; import {MAX_CHANGES} at a time")
    changes = tuple(ConfigChange(service=name, values=values, revision=revision) for name, values in found.items())
    question = PutConfig(changes=changes, canary=canary, author=author, reason=reason, dry_run=dry_run)
    alone = changes[0].service if len(changes) == 1 else ""
    try:
        done = change(urls, timeout, subjects.CONFIG_PUT, question, service=alone, expected=revision)
    except PayloadTooLarge as error:
        if not alone:
            error.message += "; import fewer services at a time"
        raise
    report(done, as_json=as_json, dry_run=dry_run)


async def _known(urls: list[str], timeout: float) -> set[str]:
    """The services that are registered, and those that are configured."""
    async with connected(urls, timeout) as session:
        configured = {scope.service for scope in (await all_configs(session)).scopes}
        return configured | {summary.name for summary in (await all_services(session)).services}
