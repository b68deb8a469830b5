"""`hub up`: a hub with a NATS server of its own, in one process tree."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.launch import common_options, settings_from
from hub.cli.running import run


@click.command()
@click.option("--host", help="Address that NATS and HTTP listen on [default: 127.0.0.1].")
@click.option("--nats-port", type=click.IntRange(0, 65535), help="NATS port, 0 = any free one [default: 4222].")
@click.option(
    "--nats-server",
    type=click.Path(),
    help="The nats-server to run, 2.12 or newer [default: one on PATH that is, else the one installed with the hub].",
)
@click.option("--data-dir", type=click.Path(), help="Where everything is kept [default: .hub].")
@click.option(
    "--secure",
    is_flag=True,
    help="Let in only who proves who it is, even where nobody but this machine can reach it (access.mode = enforced).",
)
@common_options
@click.pass_context
def up(
    ctx: click.Context,
    host: str | None,
    nats_port: int | None,
    nats_server: str | None,
    data_dir: str | None,
    secure: bool,
    config: Path | None,
    http_port: int | None,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Run a hub with a NATS server of its own. Ctrl-C ends it.

    What services register is kept in the data directory and is there again at the next start. Prints one line with the
    URLs of NATS and HTTP when it is ready.
    """
    settings = settings_from(
        config,
        {
            "nats.host": host,
            "nats.port": nats_port,
            "nats.server": nats_server,
            "data_dir": data_dir,
            "access.mode": "enforced" if secure else None,
            "http.host": host,
            "http.port": http_port,
            "log.level": log_level,
            "log.format": log_format,
        },
    )
    ctx.exit(run(settings, embedded=True, say=click.echo))
