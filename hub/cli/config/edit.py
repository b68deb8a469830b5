from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec

from hub.cli import output
from hub.cli.config import rendering
from hub.cli.config.arguments import scope
from hub.cli.config.asking import ask, change, present, report, show
from hub.cli.config.documents import Unreadable, parsed
from hub.cli.config.trying import tried
from hub.cli.options import connection, user
from hub.errors import InvalidConfig
from hub.wire import subjects
from hub.wire.canary import CanaryPlan
from hub.wire.config import (
    ConfigChange,
    ConfigVerdict,
    PutConfig,
    ValidateConfig,
)


@click.command()
@scope
@click.option("--reason", metavar="TEXT", default="", help="Why; kept with the revision.")
@click.option("--author", metavar="NAME", default=user, show_default="you", help="Who; kept with the revision.")
@tried
@connection()
def edit(urls: list[str], timeout: float, service: str, reason: str, author: str, canary: CanaryPlan | None) -> None:
    """Change what was put for SERVICE, or for _all, in $VISUAL or $EDITOR, as JSON.

    What is not valid may be edited again. What it changes is shown, and is put when you say so, if nobody else has
    changed it meanwhile. What could not be put is kept in a file, which is named.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("An editor needs a terminal; `hub config set` and `hub config import` do without.")
    config = present(urls, timeout, service)
    before = msgspec.json.format(msgspec.json.encode(config.put), indent=2) + b"\n"
    draft = _Draft(service, before)
    try:
        values = _edited(urls, timeout, service, draft)
        if values == config.put:
            draft.remove()
            output.note("nothing was changed")
            return
        question = PutConfig(
            changes=(ConfigChange(service=service, values=values, revision=config.own_revision),),
            canary=canary,
            author=author,
            reason=reason,
        )
        _put(urls, timeout, question)
        draft.remove()
    except BaseException:
        draft.tell()
        raise


class _Draft:
    """The file that is edited, which nobody else may read: its name tells what it is about."""

    def __init__(self, service: str, content: bytes) -> None:
        descriptor, name = tempfile.mkstemp(prefix=f"hub-config-{service}-", suffix=".json")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        self._service = service
        self._before = content
        self.path = Path(name)

    def edit(self) -> None:
        """Open it in the user's editor, until that ends."""
        click.edit(filename=str(self.path))

    def values(self) -> dict[str, Any]:
        """What it says. Raises Unreadable where that is no JSON object."""
        return parsed(self.path.read_bytes(), str(self.path))

    def remove(self) -> None:
        """It has served its purpose."""
        self.path.unlink(missing_ok=True)

    def tell(self) -> None:
        """Say where it is; one that was not changed is of no use to anybody."""
        if not self.path.exists():
            return
        if self.path.read_bytes() == self._before:
            self.remove()
            return
        output.note(
            f"what you have written is kept in {self.path}; "
            f"`hub config import --service {self._service} {self.path}` puts it"
        )


def _edited(urls: list[str], timeout: float, service: str, draft: _Draft) -> dict[str, Any]:
    """What was written, once it is valid.

    Raises:
        Unreadable: it is no JSON, and is not to be edited again.
        InvalidConfig: it is not valid, and is not to be edited again.
    """
    while True:
        draft.edit()
        try:
            values = draft.values()
            _check(urls, timeout, service, values)
        except (Unreadable, InvalidConfig) as error:
            output.note(error.message)
            if not click.confirm("Edit it again?", default=True, err=True):
                raise
        else:
            return values


def _check(urls: list[str], timeout: float, service: str, values: dict[str, Any]) -> None:
    question = ValidateConfig(service=service, values=values)
    verdict = ask(urls, timeout, subjects.CONFIG_VALIDATE, question, ConfigVerdict)
    if not verdict.valid:
        output.print_table(rendering.VIOLATIONS, rendering.violations(verdict.violations))
        raise InvalidConfig(f"this is not valid for {service}")


def _put(urls: list[str], timeout: float, question: PutConfig) -> None:
    """Show what it changes, ask, and put it. Raises Conflict where somebody else was faster."""
    service, revision = question.changes[0].service, question.changes[0].revision
    preview = msgspec.structs.replace(question, dry_run=True)
    show(change(urls, timeout, subjects.CONFIG_PUT, preview, service=service, expected=revision), dry_run=True)
    click.confirm(f"Change {service}?", default=True, abort=True, err=True)
    done = change(urls, timeout, subjects.CONFIG_PUT, question, service=service, expected=revision)
    report(done, as_json=False, dry_run=False)
