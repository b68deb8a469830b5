"""`hub serve`: a hub on a NATS that is there already; any number of them side by side."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.launch import common_options, settings_from
from hub.cli.running import run


@click.command()
@click.option(
    "--nats",
    metavar="URL",
    help="The NATS to work on; several servers are separated by commas "
    "[env var: NATS_URL; default: nats://127.0.0.1:4222].",
)
@click.option(
    "--tls-ca", help="The file of the CAs that NATS servers may have their certificate from [env var: NATS_CA]."
)
@click.option("--tls-cert", help="The file of the certificate to show to NATS [env var: NATS_CERT].")
@click.option("--tls-key", help="The file of its key [env var: NATS_KEY].")
@click.option("--host", help="Address that HTTP listens on [default: 127.0.0.1].")
@common_options
@click.pass_context
def serve(
    ctx: click.Context,
    nats: str | None,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    host: str | None,
    config: Path | None,
    http_port: int | None,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Run a hub on a NATS that is there already: for production.

    Any number of hubs may serve side by side on one NATS: each answers every request, and one of them at a time keeps
    the registry. Prints one line when it is ready; a signal ends it once the requests in flight are answered.
    """
    settings = settings_from(
        config,
        {
            "nats.url": nats,
            "nats.tls_ca": tls_ca,
            "nats.tls_cert": tls_cert,
            "nats.tls_key": tls_key,
            "http.host": host,
            "http.port": http_port,
            "log.level": log_level,
            "log.format": log_format,
        },
    )
    ctx.exit(run(settings, embedded=False, say=click.echo))
