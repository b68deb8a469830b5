"""The command `hub config`: which verbs there are."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.group import LazyGroup, Verb

VERBS: Final = {
    "get": Verb("hub.cli.config.get:get", "Show what a service is to run with, and where it comes from."),
    "list": Verb("hub.cli.config.list:list_", "List what is configured, and who changed it last."),
    "set": Verb("hub.cli.config.set:set_", "Change values, and leave the others as they are."),
    "edit": Verb("hub.cli.config.edit:edit", "Change the configuration in an editor."),
    "status": Verb("hub.cli.config.status:status", "Show which instance runs with what; wait for a roll-out."),
    "history": Verb("hub.cli.config.history:history", "Show who changed what, when, and why."),
    "diff": Verb("hub.cli.config.diff:diff", "Show in what two revisions differ."),
    "promote": Verb("hub.cli.config.promote:promote", "Put for all what some instances try."),
    "abort": Verb("hub.cli.config.abort:abort", "Take back what some instances try."),
    "rollback": Verb("hub.cli.config.rollback:rollback", "Go back to an earlier revision."),
    "delete": Verb("hub.cli.config.delete:delete", "Take back all that was put; the history is kept."),
    "validate": Verb("hub.cli.config.validate:validate", "Check a file against the schema; store nothing."),
    "import": Verb("hub.cli.config.import_:import_", "Put files, all of them or none."),
    "export": Verb("hub.cli.config.export:export", "Print what was put, as `import` takes it."),
    "reload": Verb("hub.cli.config.reload:reload", "Let the hub read its configuration files now."),
    "schema": Verb("hub.cli.config.schema:schema", "Show, set or take away the schema."),
}

_EPILOG = """\b
A SERVICE is the name of a service, or _all for what every service shares.
A place in a configuration is written risk.max_leverage, or /risk/max_leverage.

\b
`hub config COMMAND --help` tells the rest.
"""


@click.group(cls=LazyGroup, verbs=VERBS, epilog=_EPILOG)
def config() -> None:
    """Show and change what services are configured with, and see who runs with it."""
