"""Hubs that let in only who proves who it is, and who is let in: declared in an access.toml, with keys of their own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nats
from nats.aio.client import Client

from hub.identity.nkey import Nkey
from hub.wire.roles import inbox_prefix_for
from tests.waiting import until


class Person(NamedTuple):
    """Somebody with an nkey."""

    key: Nkey
    role: str
    name: str
    instance: str | None = None

    @property
    def entry(self) -> str:
        """How `access.toml` declares it."""
        bound = "" if self.instance is None else f'instance = "{self.instance}"\n'
        return f'[[identity]]\nname = "{self.name}"\nrole = "{self.role}"\nnkey = "{self.key.public}"\n{bound}'


def person(role: str, name: str, instance: str | None = None) -> Person:
    """Somebody new."""
    return Person(Nkey.fresh("user"), role, name, instance)


def declare(path: Path, *people: Person, more: str = "") -> Path:
    """An `access.toml` with these people."""
    path.write_text("\n".join([*(each.entry for each in people), more]))
    return path


class Connection:
    """A plain connection, and the errors that it was told."""

    def __init__(self, client: Client, errors: list[str]) -> None:
        self.client = client
        self.errors = errors

    async def is_forbidden(self, kind: str, subject: str) -> None:
        """Return once the server has said that it forbids this (`publish` or `subscription`)."""
        said = f'permissions violation for {kind} to "{subject.lower()}"'
        await until(lambda: any(said in error.lower() for error in self.errors), f"{said}; heard {self.errors}")

    async def may_not_publish(self, subject: str, payload: bytes = b"{}") -> None:
        """The server forbids it."""
        await self.client.publish(subject, payload)
        await self.is_forbidden("publish", subject)

    async def may_not_subscribe(self, subject: str) -> None:
        """The server forbids it."""
        subscription = await self.client.subscribe(subject)
        await self.is_forbidden("subscription", subject)
        await subscription.unsubscribe()


@asynccontextmanager
async def let_in(url: str, who: Person | Nkey, name: str = "", **options: Any) -> AsyncIterator[Connection]:
    """A connection of somebody, closed in the end. It is not made again when it is lost."""
    key = who.key if isinstance(who, Person) else who
    errors: list[str] = []

    async def heard(error: Exception) -> None:
        errors.append(str(error))

    given = {"allow_reconnect": False, "nkeys_seed_str": key.seed, **options}
    client = await nats.connect(
        url, name=name or "test", error_cb=heard, inbox_prefix=inbox_prefix_for(key.public).encode(), **given
    )
    try:
        yield Connection(client, errors)
    finally:
        await client.close()


async def answer_to(
    url: str, *, sign: Callable[[bytes], bytes] | None = None, password: str | None = None, **options: Any
) -> str:
    """What a server says to somebody who presents these, as the library might not: its first word after CONNECT.

    Args:
        url: Where it is.
        sign: What signs the nonce.
        password: What goes as `pass`.
        options: Those of CONNECT.
    """
    host, _, port = url.removeprefix("nats://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(10):
            info = json.loads((await reader.readline()).decode().removeprefix("INFO "))
            if sign is not None:
                options["sig"] = base64.b64encode(sign(info["nonce"].encode())).decode()
            if password is not None:
                options["pass"] = password
            said = json.dumps({"verbose": False, "lang": "test", "version": "1", **options})
            writer.write(f"CONNECT {said}\r\nPING\r\n".encode())
            line = "INFO"
            while line.startswith("INFO"):
                line = (await reader.readline()).decode()
            return line.strip()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
