from __future__ import annotations

import click

from hub.cli import output
from hub.cli.config.arguments import only_at, service, signed
from hub.cli.config.asking import ask, change, report
from hub.cli.config.documents import read
from hub.cli.options import connection, json_output
from hub.errors import NotFound
from hub.wire import subjects
from hub.wire.config import (
    ConfigSchema,
    GetConfigSchema,
    PutConfigSchema,
)


@click.command()
@service
@click.argument("file", required=False)
@click.option("--remove", is_flag=True, help="Take the schema away: anything is valid then.")
@click.option("--force", is_flag=True, help="Set it even where what is configured is not valid by it.")
@only_at
@signed
@json_output("the answer as JSON, in the shape of the reply to hub.config.schema.get or hub.config.schema.put")
@connection()
def schema(
    urls: list[str],
    timeout: float,
    as_json: bool,
    service: str,
    file: str | None,
    remove: bool,
    force: bool,
    revision: int | None,
    author: str,
    reason: str,
    dry_run: bool,
) -> None:
    """Show the schema of SERVICE's configuration; set it to the one in FILE; or take it away.

    FILE is a JSON Schema (draft 2020-12), as JSON, or TOML where its name ends so; - is stdin. Its defaults become the
    lowest layer. To show one where there is none ends with exit code 3.
    """
    if file and remove:
        raise click.UsageError("Give FILE or --remove, not both.")
    if not (file or remove):
        if force or dry_run or reason or revision is not None:
            raise click.UsageError("Nothing is to be changed: give FILE or --remove.")
        _show(urls, timeout, service, as_json=as_json)
        return
    question = PutConfigSchema(
        service=service,
        schema=read(file) if file else None,
        revision=revision,
        force=force,
        author=author,
        reason=reason,
        dry_run=dry_run,
    )
    done = change(urls, timeout, subjects.CONFIG_SCHEMA_PUT, question, service=service, expected=revision)
    report(done, as_json=as_json, dry_run=dry_run)


def _show(urls: list[str], timeout: float, service: str, *, as_json: bool) -> None:
    found = ask(urls, timeout, subjects.CONFIG_SCHEMA_GET, GetConfigSchema(service=service), ConfigSchema)
    if as_json:
        output.print_json(found)
    if found.schema is None:
        raise NotFound(f"{service!r} has no schema: anything is valid")
    if not as_json:
        output.print_json(found.schema)
