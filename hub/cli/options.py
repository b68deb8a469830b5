"""The options that verbs share, so that each is spelled, explained and checked in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from hub.cli import failure
from hub.wire.names import is_service_name

DEFAULT_URL: Final = "nats://127.0.0.1:4222"
_SCHEMES: Final = ("nats", "tls")

F = TypeVar("F", bound=Callable[..., Any])


def connection(timeout: float = 5.0) -> Callable[[F], F]:
    """Add `--nats` and `--timeout` (`timeout` by default): parameters `urls` (list of str) and `timeout` (seconds)."""
    decorate_urls = click.option(
        "--nats",
        "urls",
        metavar="URL",
        default=DEFAULT_URL,
        envvar=["HUB_NATS_URL", "NATS_URL"],
        show_default=True,
        show_envvar=True,
        callback=_urls,
        help="The NATS to ask; several servers are separated by commas.",
    )
    decorate_timeout = click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        default=timeout,
        show_default=True,
        help="How long to wait for NATS, and for each answer.",
    )
    return lambda command: decorate_urls(decorate_timeout(command))


def json_output(what: str) -> Callable[[F], F]:
    """Add `--json`, which prints `what`: parameter `as_json` (bool). Errors are then JSON too."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        is_eager=True,
        callback=_remember_json,
        help=f"Print {what}; errors on stderr are JSON too.",
    )


def service_name(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A callback for a service's name that becomes part of a subject, and must not reach beyond it."""
    if value is not None and not is_service_name(value):
        raise click.BadParameter(f"expected a DNS label (1..63 of a-z, 0-9 and inner '-'), got {value!r}")
    return value


def _urls(ctx: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    urls = [url if "://" in url else f"nats://{url}" for part in value.split(",") if (url := part.strip())]
    for url in urls:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise click.BadParameter("expected URLs such as nats://host:4222 or tls://host:4222, separated by commas")
    if not urls:
        raise click.BadParameter(f"expected at least one URL, such as {DEFAULT_URL}")
    return urls


def _remember_json(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
    failure.want_json(ctx, value)
    return value
