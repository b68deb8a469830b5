"""The options that verbs share, so that each is spelled, explained and checked in one way."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from hub.cli import failure
from hub.transport.tls import Tls
from hub.wire.names import is_service_name

DEFAULT_URL: Final = "nats://127.0.0.1:4222"
_TLS: Final = "hub.cli.tls"
_SCHEMES: Final = ("nats", "tls")

F = TypeVar("F", bound=Callable[..., Any])


def connection(timeout: float = 5.0, also: str = "") -> Callable[[F], F]:
    """Add `--nats` and `--timeout` (`timeout` by default): parameters `urls` (list of str) and `timeout` (seconds).

    What the timeout is for besides, `also` says. The files of TLS are options, too; `tls_given` has them.
    """
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
        help=f"How long to wait for NATS, and for each answer{also}.",
    )
    return lambda command: decorate_urls(_tls_options(decorate_timeout(command)))


def _tls_options(command: F) -> F:
    """Add the files by which TLS is spoken with NATS, under the names that the `nats` command has for them."""
    told = {
        "ca": "The file of the CAs that NATS servers may have their certificate from [default: the machine's].",
        "cert": "The file of the certificate to show to NATS servers that ask for one.",
        "key": "The file of its key.",
    }
    for name, meaning in reversed(told.items()):
        command = click.option(
            f"--tls-{name}",
            type=click.Path(dir_okay=False),
            envvar=[f"HUB_NATS_TLS_{name.upper()}", f"NATS_{name.upper()}"],
            show_envvar=True,
            expose_value=False,
            callback=partial(_remember_tls, name),
            help=meaning,
        )(command)
    return command


def _remember_tls(name: str, ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    ctx.meta[f"{_TLS}.{name}"] = value or None


def tls_given() -> Tls:
    """What the options of the command that runs say of TLS."""
    ctx = click.get_current_context(silent=True)
    meta = ctx.meta if ctx is not None else {}
    return Tls(ca=meta.get(f"{_TLS}.ca"), cert=meta.get(f"{_TLS}.cert"), key=meta.get(f"{_TLS}.key"))


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


def metadata_pairs(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """A callback for metadata: what the values add up to, `key=text` or a JSON object whose keys are taken over."""
    metadata: dict[str, Any] = {}
    for value in values:
        if value.lstrip().startswith("{"):
            try:
                metadata |= msgspec.json.decode(value, type=dict[str, Any])
            except msgspec.MsgspecError as error:
                raise click.BadParameter(f"{value!r} is no JSON object: {error}") from None
            continue
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"expected key=value or a JSON object, got {value!r}")
        metadata[key] = text
    return metadata


def checks_given(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[dict[str, Any]]:
    """A callback for checks: the type alone, or a JSON object with more. What it may say, the hub judges."""
    checks: list[dict[str, Any]] = []
    for value in values:
        if not value.lstrip().startswith("{"):
            checks.append({"type": value.strip()})
            continue
        try:
            checks.append(msgspec.json.decode(value, type=dict[str, Any]))
        except msgspec.MsgspecError as error:
            raise click.BadParameter(f"{value!r} is no JSON object: {error}") from None
    return checks


def wish(command: F) -> F:
    """Add what every change of the desired state takes: parameters `reason` (str or None) and `author` (str)."""
    decorate_reason = click.option("--reason", metavar="TEXT", help="Why; shown with the state, and in the event.")
    decorate_author = click.option(
        "--author",
        metavar="NAME",
        default=user,
        show_default="you",
        help="Who; shown with the state, and in the event.",
    )
    return decorate_reason(decorate_author(command))


def unregistered(command: F) -> F:
    """Add `--unregistered`: parameter `unregistered` (bool)."""
    return click.option(
        "--unregistered",
        is_flag=True,
        help="Even of an instance that is not known, to hold from its first registration on.",
    )(command)


def user() -> str:
    """The name of who runs this; empty where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return ""


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
