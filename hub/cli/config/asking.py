"""Asking a hub about configuration, and telling it what to change; what was changed is shown in one way."""

from __future__ import annotations

import sys
from typing import TypeVar

import click
import msgspec

from hub.cli import output
from hub.cli.config import rendering
from hub.cli.session import Session, connected, run
from hub.errors import Conflict, HubError
from hub.wire import subjects
from hub.wire.config import (
    EVERYBODY,
    AbortCanary,
    Config,
    ConfigChanged,
    DeleteConfig,
    GetConfig,
    PromoteCanary,
    RollbackConfig,
)

T = TypeVar("T")


def ask(urls: list[str], timeout: float, subject: str, question: object, kind: type[T]) -> T:
    """Ask one question. See `Session.ask`."""

    async def asked() -> T:
        async with connected(urls, timeout) as session:
            return await session.ask(subject, question, kind)

    return run(asked())


def present(urls: list[str], timeout: float, service: str, instance: str | None = None) -> Config:
    """What a service is to run with now, or one instance of it."""
    return ask(urls, timeout, subjects.CONFIG_GET, GetConfig(service=service, instance=instance), Config)


def change(
    urls: list[str], timeout: float, subject: str, question: object, *, service: str = "", expected: int | None = None
) -> ConfigChanged:
    """Change something.

    Args:
        urls: Whom to ask.
        timeout: How long to wait.
        subject: What to do.
        question: The message.
        service: The one scope that it is about; empty where it is about several.
        expected: The revision that this scope has to be at.

    Raises:
        Conflict: it is not at that revision; the message says who changed it, and what to do now.
        HubError: what else the hub says.
    """

    async def asked() -> ConfigChanged:
        async with connected(urls, timeout) as session:
            try:
                return await session.ask(subject, question, ConfigChanged)
            except Conflict as error:
                raise await _explained(session, error, service, expected) from None

    return run(asked())


def confirmed(
    urls: list[str],
    timeout: float,
    as_json: bool,
    subject: str,
    question: RollbackConfig | DeleteConfig | PromoteCanary | AbortCanary,
    *,
    unasked: bool,
) -> None:
    """Change one scope after having shown what that does and asked, unless it is not to be asked; print what was done.

    What was shown is what is done: a change by others meanwhile is a conflict.
    """
    service = question.service
    if not (unasked or question.dry_run):
        if as_json or not sys.stdin.isatty():
            raise click.UsageError("Nobody can be asked here: say --yes to do it, or --dry-run to look first.")
        question = _pinned(question, present(urls, timeout, service))
        preview = msgspec.structs.replace(question, dry_run=True)
        show(change(urls, timeout, subject, preview, service=service, expected=_expected(question)), dry_run=True)
        click.confirm(f"Change {service}?", abort=True, err=True)
    done = change(urls, timeout, subject, question, service=service, expected=_expected(question))
    report(done, as_json=as_json, dry_run=question.dry_run)


def report(changed: ConfigChanged, *, as_json: bool, dry_run: bool) -> None:
    """Print what was changed, or would be."""
    if as_json:
        output.print_json(changed)
        return
    show(changed, dry_run=dry_run)
    services = [scope for scope in changed.scopes if scope.service != EVERYBODY and scope.instances]
    if changed.revision and len(services) == 1:
        output.note(f"`hub config status {services[0].service} --wait --revision {changed.revision}` waits for them")


def show(changed: ConfigChanged, *, dry_run: bool) -> None:
    """Print every place that is different, and in one line for how many."""
    if rows := rendering.scoped_differences(changed.scopes):
        output.print_table(rendering.SCOPED_DIFFERENCES, rows)
    output.print_line([rendering.summary(changed, dry_run=dry_run)])
    if changed.omitted:
        output.note(f"and {changed.omitted} more services that share this")


def _pinned(question: T, shown: Config) -> T:
    """The question about what was shown, and about nothing that takes its place meanwhile."""
    if isinstance(question, RollbackConfig | DeleteConfig) and question.revision is None:
        return msgspec.structs.replace(question, revision=shown.own_revision)
    if isinstance(question, PromoteCanary | AbortCanary) and shown.canary is not None:
        return msgspec.structs.replace(question, canary=shown.canary.id)
    return question


def _expected(question: RollbackConfig | DeleteConfig | PromoteCanary | AbortCanary) -> int | None:
    """At which revision the scope must be."""
    return question.revision if isinstance(question, RollbackConfig | DeleteConfig) else None


async def _explained(session: Session, error: Conflict, service: str, expected: int | None) -> HubError:
    """The refusal of a change because of another one, with what to do now."""
    if not service or not expected:
        return error
    try:
        newest = (await session.ask(subjects.CONFIG_GET, GetConfig(service=service), Config)).own_revision
    except HubError:
        return error
    told = Conflict(
        f"{error.message}. `hub config diff {service} {expected} {newest}` shows what was changed meanwhile; "
        f"then say --revision {newest}",
        field=error.field,
    )
    told.request_id = error.request_id
    return told
