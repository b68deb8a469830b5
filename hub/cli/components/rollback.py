from __future__ import annotations

import sys

import click
import msgspec

from hub.cli import output
from hub.cli.components import asking
from hub.cli.config.arguments import unasked
from hub.cli.options import connection, json_output, user
from hub.cli.session import connected, run
from hub.core.components import changed
from hub.wire import subjects
from hub.wire.components import ComponentsPublished, RollbackComponents


@click.command()
@click.argument("target", metavar="REVISION", type=click.IntRange(min=1))
@click.option(
    "--revision",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only if N is the newest revision, so that no version of others is lost.",
)
@click.option("--author", metavar="NAME", default=user, show_default="you", help="Who; kept with the version.")
@click.option("--reason", metavar="TEXT", default="", help="Why; kept with the version.")
@unasked
@json_output("what was published as JSON, in the shape of the reply to hub.components.rollback; needs --yes")
@connection()
def rollback(
    urls: list[str],
    timeout: float,
    as_json: bool,
    target: int,
    revision: int | None,
    author: str,
    reason: str,
    unasked: bool,
) -> None:
    """Make the files of REVISION the newest version again, as a new revision; show what that changes, and ask first.

    `hub components history` lists the revisions. The hub's folder stays as it is, and is published again only when it
    changes. When there is no such revision the exit code is 3.
    """
    question = RollbackComponents(target=target, author=author, reason=reason, revision=revision)
    if not unasked:
        if as_json or not sys.stdin.isatty():
            raise click.UsageError("Nobody can be asked here: say --yes to do it.")
        question = run(_preview(urls, timeout, question))
        click.confirm(f"Go back to revision {target}?", abort=True, err=True)
    asking.report(run(_ask(urls, timeout, question)), as_json=as_json)


async def _preview(urls: list[str], timeout: float, question: RollbackComponents) -> RollbackComponents:
    """Show what would differ; returns the question so that what was shown is what is done."""
    async with connected(urls, timeout) as session:
        newest = await asking.whole(session, 0)
        earlier = await asking.whole(session, question.target)
    paths = changed(newest.files, earlier.files)
    output.print_line([f"revision {newest.revision} and {earlier.revision} differ in {len(paths)} files"])
    for path in paths:
        output.print_line([f"  {path}"])
    if question.revision is None:
        return msgspec.structs.replace(question, revision=newest.revision)
    return question


async def _ask(urls: list[str], timeout: float, question: RollbackComponents) -> ComponentsPublished:
    async with connected(urls, timeout) as session:
        return await session.ask(subjects.COMPONENTS_ROLLBACK, question, ComponentsPublished)
