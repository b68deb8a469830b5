"""`hub certs dev`: a private CA and what it takes to try TLS between everything, in one folder."""

from __future__ import annotations

import os
import re
import shlex
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

import click
from msgspec import Struct

from hub.certificates import CA_LIFETIME, LIFETIME, Authority, Pair
from hub.cli import output
from hub.cli.options import json_output
from hub.errors import HubError

LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_HOST: Final = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")
_AUTHORITY: Final = "ca"


class Wanted(NamedTuple):
    """One certificate: for what it may be used, and whether it names hosts."""

    server: bool
    client: bool


WANTED: Final = {
    "nats": Wanted(server=True, client=True),  # of each other, the servers of a cluster are clients
    "hub": Wanted(server=True, client=True),
    "client": Wanted(server=False, client=True),
}


class Made(Struct, frozen=True, kw_only=True):
    """What was made: the files, the hosts that servers' certificates are made out to, and until when all is good."""

    folder: str
    files: tuple[str, ...]
    hosts: tuple[str, ...]
    new_ca: bool
    ca_expires: datetime
    expires: datetime
    next: tuple[str, ...]
    """Commands to go on with."""


def _hosts(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _is_address(value) and (len(value) > 253 or not _HOST.fullmatch(value.lower())):
            raise click.BadParameter(f"expected a host name or an IP address, got {value!r}")
    return tuple(dict.fromkeys([*LOCAL, *(value.lower().rstrip(".") for value in values)]))


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("certs"))
@click.option(
    "--host",
    "hosts",
    multiple=True,
    callback=_hosts,
    metavar="NAME",
    help="A name or an address by which NATS or the hub is reached, besides those of this machine; may be repeated.",
)
@click.option("--force", is_flag=True, help="Replace what is there; a CA that is there and good signs again.")
@json_output("what was made as JSON")
def dev(folder: Path, hosts: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Make a private CA and certificates for NATS, the hub and a client in FOLDER [default: certs].

    The CA is good for a year, what it signs for 90 days. It is for trying TLS out: whoever can read ca-key.pem can be
    everybody. Keys can be read by their owner alone.
    """
    made = make(folder, hosts, output.now(), force=force)
    if as_json:
        output.print_json(made)
        return
    said = "a new CA" if made.new_ca else "the CA that was there"
    output.print_line([f"Made in {folder}, signed by {said}, good until {made.expires:%Y-%m-%d}: "])
    for name in made.files:
        output.print_line([f"  {name}"])
    output.print_line([f"for the hosts {', '.join(made.hosts)}."])
    output.print_line(["Go on with:"])
    for command in made.next:
        output.print_line([f"  {command}"])


def make(folder: Path, hosts: tuple[str, ...], now: datetime, *, force: bool) -> Made:
    """Make the files.

    Raises:
        HubError: they cannot be written, or some are there already and it is not forced.
    """
    files = [name for owner in (_AUTHORITY, *WANTED) for name in (f"{owner}.pem", f"{owner}-key.pem")]
    there = [name for name in files if (folder / name).exists()]
    if there and not force:
        raise HubError(f"{folder}: {', '.join(there)} would be replaced: say --force, or name another folder")
    authority = _kept(folder, now) if force else None
    new = authority is None
    authority = authority or Authority.fresh("Central Hub development CA", now)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if new:
            _write(folder, _AUTHORITY, authority.pair)
        for owner, wanted in WANTED.items():
            names = hosts if wanted.server else ()
            issued = authority.issue(
                f"Central Hub development {owner}", now, hosts=names, server=wanted.server, client=wanted.client
            )
            _write(folder, owner, issued)
    except OSError as error:
        raise HubError(f"{folder}: cannot be written to ({error.strerror})") from None
    return Made(
        folder=str(folder),
        files=tuple(files),
        hosts=hosts,
        new_ca=new,
        ca_expires=authority.expires,
        expires=min(now + LIFETIME, authority.expires),
        next=_next(folder),
    )


def _kept(folder: Path, now: datetime) -> Authority | None:
    """The CA that is there, where it is good for as long as what it is to sign."""
    try:
        cert, key = ((folder / f"{_AUTHORITY}{end}.pem").read_bytes() for end in ("", "-key"))
        kept = Authority(Pair(cert, key))
    except (OSError, ValueError, TypeError):  # TypeError: the key is encrypted
        return None
    return kept if now + LIFETIME <= kept.expires <= now + CA_LIFETIME else None


def _write(folder: Path, owner: str, pair: Pair) -> None:
    """Write both files, each in one step, so that nobody reads half of one."""
    for name, content, mode in ((f"{owner}-key.pem", pair.key, 0o600), (f"{owner}.pem", pair.cert, 0o644)):
        path = folder / f".{name}.{os.getpid()}"
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        path.replace(folder / name)


def _next(folder: Path) -> tuple[str, ...]:
    """What to type next, in a shell."""

    def at(name: str) -> str:
        return shlex.quote(str(folder / name))

    listen = [
        f"HUB_NATS_LISTEN_CERT={at('nats.pem')}",
        f"HUB_NATS_LISTEN_KEY={at('nats-key.pem')}",
        f"HUB_HTTP_TLS_CERT={at('hub.pem')}",
        f"HUB_HTTP_TLS_KEY={at('hub-key.pem')}",
    ]
    ca = f"NATS_CA={at('ca.pem')}"
    return (
        " ".join([*listen, ca, "hub up"]),
        f"NATS_URL=tls://127.0.0.1:4222 {ca} hub services",
        f"curl --cacert {at('ca.pem')} https://127.0.0.1:7000/health",
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
