from __future__ import annotations

from typing import Any

import click

from hub.cli import output
from hub.cli.options import checks_given, connection, json_output, metadata_pairs
from hub.cli.session import connected, run
from hub.wire import subjects
from hub.wire.registration import Registered


@click.command()
@click.argument("name")
@click.option("--host", required=True, help="Where others reach the instance: host name or IP address.")
@click.option("--port", type=int, required=True, help="Where others reach the instance: port.")
@click.option("--protocol", help="URL scheme that it speaks.  [default: http]")
@click.option("--health-endpoint", metavar="PATH", help="Path that says how it is, as in /health.")
@click.option(
    "--instance-id", metavar="ID", help="Which instance this is; by default derived from NAME, host and port."
)
@click.option("--version", help="Version that it runs.")
@click.option("--zone", help="Zone that it runs in.")
@click.option("--tag", "tags", multiple=True, help="A tag to find it by; may be repeated.")
@click.option("--capability", "capabilities", multiple=True, help="Something that it can do; may be repeated.")
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE|JSON",
    callback=metadata_pairs,
    help="More about it: key=text, or a JSON object; may be repeated.",
)
@click.option("--weight", type=int, help="Its share with the strategy weighted.  [default: 100]")
@click.option("--depends-on", multiple=True, metavar="NAME", help="A service that it needs; may be repeated.")
@click.option(
    "--liveness",
    type=click.Choice(["permanent", "heartbeat", "probe"]),
    default="permanent",
    show_default=True,
    help="permanent: stays until it is deregistered; heartbeat: beats, or goes; probe: the hub looks at it.",
)
@click.option(
    "--check",
    "checks",
    multiple=True,
    metavar="TYPE|JSON",
    callback=checks_given,
    help="How the hub looks at it: a type (http, tcp, grpc, redis, postgres), or a JSON object as in the contract; "
    "may be repeated.",
)
@click.option(
    "--protect-threshold",
    type=float,
    metavar="SHARE",
    help="Share of well instances at which discovery answers with all of the service.",
)
@click.option("--ttl", type=float, metavar="SECONDS", help="Silence after which it is critical (heartbeat).")
@click.option(
    "--deregister-after", type=float, metavar="SECONDS", help="How long it stays critical before it is removed."
)
@json_output("the registration as JSON, in the shape of the reply to hub.register")
@connection()
def register(urls: list[str], timeout: float, as_json: bool, capabilities: tuple[str, ...], **given: Any) -> None:
    """Register an instance of the service NAME from a script, or update it.

    A script ends and does not beat, so the instance is registered as permanent: it stays until `hub deregister`
    takes it out. Only choose --liveness heartbeat when the instance itself beats on the subject that is printed.
    """
    if capabilities:
        given["metadata"] = {**given["metadata"], "capabilities": list(capabilities)}
    message = {field: value for field, value in given.items() if value not in (None, (), {}, [])}
    registered = run(_ask(urls, timeout, message))
    if as_json:
        output.print_json(registered)
        return
    key = f"{registered.name}/{registered.instance_id}"
    output.print_line([f"registered {key} at revision {registered.revision}"])
    if given["liveness"] == "heartbeat":
        output.note(
            f"beat on {registered.heartbeat_subject} every {registered.heartbeat_interval:g} s: "
            f"after {registered.ttl:g} s of silence it is critical"
        )


async def _ask(urls: list[str], timeout: float, message: dict[str, Any]) -> Registered:
    """Send what was given and nothing else: the hub fills in its defaults, and judges."""
    async with connected(urls, timeout) as session:
        return await session.ask(subjects.REGISTER, message, Registered)
