"""The command `hub`: which verbs there are, each loaded only when it is the one that runs."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from hub.cli import failure
from hub.errors import HubError
from hub.version import __version__


class Verb(NamedTuple):
    """Where a verb's command is (`module:name`), and what it does in one line."""

    place: str
    summary: str


VERBS: Final = {
    "up": Verb("hub.cli.up:up", "Run a hub with a NATS server of its own."),
    "serve": Verb("hub.cli.serve:serve", "Run a hub on a NATS that is there already."),
    "services": Verb("hub.cli.services:services", "List the services, and how they are."),
    "health": Verb("hub.cli.health:health", "Show how instances are, since when, and what says so."),
    "discover": Verb("hub.cli.discover:discover", "Find instances of a service."),
    "graph": Verb("hub.cli.graph:graph", "Show who depends on whom, and how they are."),
    "register": Verb("hub.cli.register:register", "Register an instance from a script."),
    "deregister": Verb("hub.cli.deregister:deregister", "Take an instance out of the registry."),
    "drain": Verb("hub.cli.drain:drain", "Let an instance, or a service, be chosen no more."),
    "undrain": Verb("hub.cli.drain:undrain", "Let it be chosen again."),
    "maintenance": Verb("hub.cli.maintenance:maintenance", "Put it into maintenance, or take it out."),
    "weight": Verb("hub.cli.weight:weight", "Give an instance a weight in place of its own."),
    "metadata": Verb("hub.cli.metadata:metadata", "Lay metadata over what an instance says of itself."),
    "desired": Verb("hub.cli.desired:desired", "Show what operators want, of whom, and why."),
    "config": Verb("hub.cli.config.group:config", "Show and change what services are configured with."),
    "flags": Verb("hub.cli.flags.group:flags", "Show feature flags, and what they come to for whom."),
    "secret": Verb("hub.cli.secret.group:secret", "Store secrets, and say which services may read them."),
    "key": Verb("hub.cli.key.group:key", "Make, list and end API keys."),
    "access": Verb("hub.cli.access.group:access", "Prove who somebody is, and say who may do what."),
    "components": Verb("hub.cli.components.group:components", "Show and publish the files that services share."),
    "audit": Verb("hub.cli.audit.group:audit", "Show who changed what, and verify the record of it."),
    "watch": Verb("hub.cli.watch:watch", "Show what changes, as it changes."),
    "backup": Verb("hub.cli.backup:backup", "Write what cannot be told again to a file."),
    "restore": Verb("hub.cli.restore:restore", "Put back what a backup has."),
    "certs": Verb("hub.cli.certs.group:certs", "Make certificates to try TLS with."),
    "contract": Verb("hub.cli.contract:contract", "Write or check the rendered contract."),
    "version": Verb("hub.cli.version:version", "Show the versions of what takes part."),
}

_EPILOG = """\b
Exit codes:
  0    done
  1    the request was refused, or failed
  2    wrong usage
  3    nothing found: no such instance, or none that may be chosen
  4    nobody answers: NATS or the hub is away
  130  ended by Ctrl-C

\b
Logging in, where NATS asks for it: --nkey, --token-file or --creds name the
file of the secret, as do HUB_NKEY, HUB_TOKEN_FILE and HUB_CREDS; HUB_TOKEN and
HUB_API_KEY have the secret itself. One way at a time.

\b
`hub COMMAND --help` tells the rest. To begin: `hub up`, then `hub services`.
"""


_NOT_WRITTEN: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What writing to a full or broken disk raises. A pipe that nobody reads any more is no failure; click ends for it."""


class LazyGroup(click.Group):
    """A group that imports a verb only to run it, so that a client's verb never waits for the server's imports.

    Args:
        verbs: Its verbs, in the order in which one meets them.
        attributes: See `click.Group`.
    """

    def __init__(self, *, verbs: Mapping[str, Verb], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order in which one meets them."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, or None where there is no such verb."""
        verb = self._verbs.get(cmd_name)
        if verb is None:
            return None
        module, _, name = verb.place.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See `click.Group.resolve_command`; names the verb that was probably meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], self._verbs, n=1)
            raise click.UsageError(error.message + (f" Did you mean {near[0]!r}?" if near else ""), ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in self._verbs.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, and turn what was to be expected to go wrong into one line and an exit code."""
        try:
            return super().invoke(ctx)
        except HubError as error:
            failure.tell(error, as_json=failure.wants_json(ctx))
            ctx.exit(failure.exit_code(error))
        except OSError as error:
            if error.errno not in _NOT_WRITTEN:
                raise
            failure.tell(HubError(f"the output cannot be written ({error.strerror})"), as_json=failure.wants_json(ctx))
            ctx.exit(failure.FAILED)
        except KeyboardInterrupt:
            ctx.exit(failure.INTERRUPTED)


@click.group(cls=LazyGroup, verbs=VERBS, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="hub %(version)s")
def hub() -> None:
    """Central Hub: services register, find each other, and leave, over NATS."""
