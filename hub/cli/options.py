"""The options that verbs share, so that each is spelled, explained and checked in one way."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click
import msgspec
from click.core import ParameterSource

from hub.cli import failure
from hub.errors import InvalidRequest
from hub.transport.login import Credentials, carries_login, from_environment, is_seed
from hub.transport.tls import Tls
from hub.wire.names import is_service_name

DEFAULT_URL: Final = "nats://127.0.0.1:4222"
_TLS: Final = "hub.cli.tls"
_LOGIN: Final = "hub.cli.login"
_LOGIN_FILES: Final = ("nkey", "token-file", "creds")
_URLS: Final = "hub.cli.login-in-url"
_ON_COMMAND_LINE: Final = "command line"
_SCHEMES: Final = ("nats", "tls")

F = TypeVar("F", bound=Callable[..., Any])


def connection(timeout: float = 5.0, also: str = "") -> Callable[[F], F]:
    """Add `--nats` and `--timeout` (`timeout` by default): parameters `urls` (list of str) and `timeout` (seconds).

    What the timeout is for besides, `also` says. The files of TLS and of the login are options, too; `tls_given` and
    `credentials_given` have them.
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
    return lambda command: decorate_urls(_login_options(_tls_options(decorate_timeout(command))))


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


def _login_options(command: F) -> F:
    """Add what to log in with: files alone, since anybody on the machine can read a command line."""
    told = {
        "nkey": "Log in with an nkey: the file of its seed.  [env var: HUB_NKEY]",
        "token-file": "Log in with a token or an API key: the file of it.  [env var: HUB_TOKEN_FILE; HUB_TOKEN and "
        "HUB_API_KEY have the secret itself]",
        "creds": "Log in with a credentials file (.creds).  [env var: HUB_CREDS]",
    }
    for name, meaning in reversed(told.items()):
        command = click.option(
            f"--{name}",
            metavar="FILE",
            type=click.Path(dir_okay=False),
            expose_value=False,
            callback=partial(_remember_login, name),
            help=meaning,
        )(command)
    return command


def _remember_login(name: str, ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None and is_seed(value):
        raise click.BadParameter("expected the file of a seed, got a seed: anybody can read a command line; renew it")
    ctx.meta[f"{_LOGIN}.{name}"] = value or None


def credentials_given() -> Credentials:
    """What the command that runs is to log in with: by its options, else by the environment.

    Raises:
        click.UsageError: there are two ways.
        InvalidRequest: what it needs is not installed.
    """
    ctx = click.get_current_context(silent=True)
    meta = ctx.meta if ctx is not None else {}
    given = {name: value for name in _LOGIN_FILES if (value := meta.get(f"{_LOGIN}.{name}")) is not None}
    urls = meta.get(_URLS)
    ways = [*(["--nats"] if urls == _ON_COMMAND_LINE else []), *(f"--{name}" for name in given)]
    if len(ways) > 1:
        raise click.UsageError(f"expected one way to log in, got {' and '.join(ways)}", ctx)
    if ways == ["--nats"]:
        return Credentials()
    try:
        found = _of_option(*next(iter(given.items()))) if given else from_environment(os.environ)
    except InvalidRequest as error:
        raise click.UsageError(error.message, ctx) from None
    if found and urls is not None:
        raise click.UsageError(f"expected one way to log in, got NATS_URL and {found}", ctx)
    found.check()
    for complaint in found.complaints():
        failure.warn(complaint)
    return found


def _of_option(name: str, value: str) -> Credentials:
    path = os.path.expanduser(value)
    if name == "nkey":
        return Credentials(nkey_file=path)
    return Credentials(token_file=path) if name == "token-file" else Credentials(credentials_file=path)


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
    if any(map(carries_login, urls)):
        typed = parameter.name is not None and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
        ctx.meta[_URLS] = _ON_COMMAND_LINE if typed else "environment"
        if typed:
            failure.warn("--nats has a login in it, which anybody on this machine can read: put the URL into NATS_URL")
    return urls


def _remember_json(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
    failure.want_json(ctx, value)
    return value
