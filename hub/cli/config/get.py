from __future__ import annotations

import click

from hub.cli import output
from hub.cli.config import rendering
from hub.cli.config.arguments import place_given, scope
from hub.cli.config.asking import present
from hub.cli.config.places import Place, found
from hub.cli.options import connection, json_output
from hub.errors import NotFound
from hub.wire.config import Config
from hub.wire.names import is_instance_id


@click.command()
@scope
@click.argument("place", required=False, callback=place_given)
@click.option("--origins", is_flag=True, help="A table of every value, and the layer that it comes from.")
@click.option("--instance", metavar="ID", help="For this instance, which may be one that tries a canary.")
@click.option("--put", is_flag=True, help="Only what was put, without files, defaults and what all services share.")
@json_output("the answer as JSON, in the shape of the reply to hub.config.get; of a PLACE, the value there")
@connection()
def get(
    urls: list[str],
    timeout: float,
    as_json: bool,
    service: str,
    place: Place,
    origins: bool,
    instance: str | None,
    put: bool,
) -> None:
    """Show what SERVICE is to run with, as JSON: all of it, or what is at PLACE.

    SERVICE may be _all. A PLACE is written risk.max_leverage, or /risk/max_leverage. Secrets are shown by name. When
    nothing is there the exit code is 3.
    """
    if origins and put:
        raise click.UsageError("--origins tells of all layers, --put shows one: say one of them.")
    if instance is not None and not is_instance_id(instance):
        raise click.BadParameter(f"expected the id of an instance, got {instance!r}", param_hint="--instance")
    config = present(urls, timeout, service, instance)
    try:
        shown = found(config.put if put else config.values, place)
    except LookupError as error:
        raise NotFound(f"{service}: {error.args[0]}") from None
    if as_json and not (place or put):
        output.print_json(config)
    elif origins and not as_json:
        output.print_table(rendering.ORIGINS, rendering.origins(config, place))
    else:
        output.print_json(shown)
    if output.on_terminal() and not as_json:
        output.note(_heading(config))


def _heading(config: Config) -> str:
    """Which revision this is, and who made it."""
    if not config.revision:
        return f"nothing is configured for {config.service}"
    changed = rendering.signature(config.author, config.at, config.reason, output.now())
    own = f"; its own is {config.own_revision}" if config.own_revision not in (0, config.revision) else ""
    tried = f"; a canary is being tried, see `hub config status {config.service}`" if config.canary else ""
    return f"{config.service} at revision {config.revision}{own}" + (f", changed {changed}" if changed else "") + tried
