"""How to log in to NATS: what there is to show, had anew for each connection, and named without the secret in it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import inspect
import os
import stat
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import nats.errors

from hub.errors import InvalidRequest

TOKEN_TIMEOUT: Final = 10.0
"""Seconds in which a source of tokens must have one."""
HUNG_UP: Final = "the server closed the connection, as it does when it refuses a login"
_MAX_FILE: Final = 16 * 1024
"""Bytes of a file with a token or a seed; a server takes 4 KiB, unless it is told otherwise."""
_OTHERS: Final = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
_SEED_LENGTH: Final = 58
_SEED_BYTES: Final = 36
_USER_SEED: Final = b"\x95\x00"
"""How the seed of a user's nkey begins; then come 32 bytes of key, and a checksum (CRC-16, XMODEM)."""

TokenSource = Callable[[], str | Awaitable[str]]
"""Gives a fresh token whenever it is called. One that is no coroutine function is called in a thread of its own."""


class NoCredential(nats.errors.Error):
    """What to log in with cannot be had now; the text says what, where and why, and shows no secret."""


class NotLetIn(nats.errors.Error):
    """The server was told who comes, and did not let him in.

    Attributes:
        refused: Whether it said no; else it said nothing.
    """

    def __init__(self, message: str, *, refused: bool = True) -> None:
        super().__init__(message)
        self.refused = refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How to log in, beside what the URL already carries: one of these, or nothing. Secrets are never shown.

    Attributes:
        nkey_seed: The seed of an nkey.
        nkey_file: A file with one, read anew for each connection.
        credentials_file: A file with a user JWT and its seed (.creds), likewise.
        token: A token, or who gives one; asked anew for each connection.
        token_file: A file with one, likewise.
        kind: What the token is called when it is told of.
    """

    nkey_seed: str | None = field(default=None, repr=False)
    nkey_file: str | None = None
    credentials_file: str | None = None
    token: str | TokenSource | None = field(default=None, repr=False)
    token_file: str | None = None
    kind: str = "token"

    def __bool__(self) -> bool:
        """Whether there is anything to log in with."""
        return any(
            each is not None
            for each in (self.nkey_seed, self.nkey_file, self.credentials_file, self.token, self.token_file)
        )

    def __str__(self) -> str:
        """What is shown to the server, in words and without the secret; empty for nothing."""
        if self.nkey_file is not None:
            return f"the nkey in {self.nkey_file}"
        if self.token_file is not None:
            return f"the {self.kind} in {self.token_file}"
        if self.credentials_file is not None:
            return f"the credentials in {self.credentials_file}"
        if self.nkey_seed is not None:
            return "the nkey given"
        if callable(self.token):
            return f"the {self.kind} of the source given"
        return f"the {self.kind} given" if self.token is not None else ""

    def check(self) -> None:
        """Tell whether this can be used here at all.

        Raises:
            InvalidRequest: signing with an nkey needs a library that is not installed.
        """
        signs = self.nkey_seed is not None or self.nkey_file is not None or self.credentials_file is not None
        if signs and find_spec("nkeys") is None:
            raise InvalidRequest(f"{self}: logging in with it needs the extra: pip install 'central-hub[nkey]'")

    def complaints(self) -> list[str]:
        """Why what there is should be kept better: files that others than their owner, and its group, can read."""
        return [
            f"{path}: anybody on this machine may read it, or others write it (mode {mode:04o}): chmod 600 {path}"
            for path in (self.nkey_file, self.token_file, self.credentials_file)
            if path is not None and (mode := _mode(path)) & _OTHERS
        ]


class Fresh(NamedTuple):
    """What to show to a server now."""

    seed: str | None = None
    token: str | None = None


class Login:
    """Has a credential at hand for each new connection.

    Args:
        credentials: What there is.
        timeout: Seconds that a source of tokens may take.
    """

    def __init__(self, credentials: Credentials, *, timeout: float = TOKEN_TIMEOUT) -> None:
        self.credentials = credentials
        self._timeout = timeout
        self._asked: asyncio.Future[Any] | None = None

    async def fresh(self) -> Fresh:
        """What to log in with now.

        Raises:
            NoCredential: it cannot be had.
        """
        given = self.credentials
        if given.nkey_seed is not None:
            return Fresh(seed=_seed(given.nkey_seed, str(given)))
        if given.nkey_file is not None:
            return Fresh(seed=_seed(_read(given.nkey_file, str(given)), str(given)))
        if given.credentials_file is not None:
            _read(given.credentials_file, str(given))  # the library reads it, and says less of what is wrong
            return Fresh()
        if given.token_file is not None:
            return Fresh(token=_token(_read(given.token_file, str(given)), str(given)))
        if callable(given.token):
            return Fresh(token=_token(await self._ask(given.token), str(given)))
        return Fresh(token=None if given.token is None else _token(given.token, str(given)))

    async def _ask(self, source: TokenSource) -> object:
        what = str(self.credentials)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._answer(source)
        except TimeoutError:
            raise NoCredential(f"{what}: none came within {self._timeout:g} s") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise NoCredential(f"{what}: it was cancelled") from None  # within the source, not from outside
        except Exception as error:
            # its text is not shown: nobody knows what a source writes into it
            raise NoCredential(f"{what}: it failed ({type(error).__name__})") from error

    async def _answer(self, source: TokenSource) -> object:
        if inspect.iscoroutinefunction(source):
            return await source()
        if self._asked is None or self._asked.done():  # one that hangs is not called again meanwhile
            self._asked = _in_a_thread(source)
        asked = self._asked
        answer = await asyncio.shield(asked)
        return await answer if inspect.isawaitable(answer) else answer


def from_environment(environ: Mapping[str, str]) -> Credentials:
    """How to log in by the environment: by `HUB_NKEY`, `HUB_TOKEN_FILE`, `HUB_TOKEN`, `HUB_API_KEY` or `HUB_CREDS`.

    Raises:
        InvalidRequest: more than one of them is set; `field` names the second.
    """
    found = {name: environ[name].strip() for name in VARIABLES if environ.get(name, "").strip()}
    if len(found) > 1:
        names = list(found)
        raise InvalidRequest(
            f"environment: expected one way to log in, got {' and '.join(names)}: unset all but one", field=names[1]
        )
    for name, value in found.items():
        return VARIABLES[name](value)
    return Credentials()


def nkey_credentials(value: str | os.PathLike[str]) -> Credentials:
    """Logs in with an nkey: its seed, or the file of it."""
    if isinstance(value, str) and is_seed(value):
        return Credentials(nkey_seed=value.strip())
    return Credentials(nkey_file=os.path.expanduser(value))


def carries_login(url: str) -> bool:
    """Whether there is a login in a URL: a user, with or without a password, or a token."""
    return urlsplit(url if "://" in url else f"nats://{url}").username is not None


def is_seed(value: str) -> bool:
    """Whether this is the seed of a user's nkey rather than the name of a file."""
    value = value.strip()
    return len(value) == _SEED_LENGTH and value.startswith("SU")


VARIABLES: Final[dict[str, Callable[[str], Credentials]]] = {
    "HUB_NKEY": nkey_credentials,
    "HUB_TOKEN_FILE": lambda value: Credentials(token_file=os.path.expanduser(value)),
    "HUB_TOKEN": lambda value: Credentials(token=value),
    "HUB_API_KEY": lambda value: Credentials(token=value, kind="API key"),
    "HUB_CREDS": lambda value: Credentials(credentials_file=os.path.expanduser(value)),
}
"""The variables that say how to log in, of which at most one is set; the values of two are secrets themselves."""


def _in_a_thread(source: TokenSource) -> asyncio.Future[Any]:
    """Call it in a thread that keeps nobody from ending: what it waits for may never come."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    future.add_done_callback(_seen)

    def settle(answer: object, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(answer)
        else:
            future.set_exception(error)

    def call() -> None:
        answer: object = None
        failure: BaseException | None = None
        try:
            answer = source()
        except StopIteration:  # no future takes it
            failure = RuntimeError("StopIteration")
        except BaseException as error:  # noqa: BLE001  # whoever waits is told
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile, and nobody waits any more
            loop.call_soon_threadsafe(settle, answer, failure)

    threading.Thread(target=call, name="token-source", daemon=True).start()
    return future


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()  # one that failed after its time was over is nobody's


def _token(value: object, what: str) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        got = "nothing" if value is None or value == "" else "something else"
        raise NoCredential(f"{what}: expected one line of printable ASCII without spaces, got {got}")
    return text


def _seed(text: str, what: str) -> str:
    lines = [line for each in text.splitlines() if (line := each.strip()) and not line.startswith(("#", "-"))]
    raw = _bytes(lines[0]) if len(lines) == 1 else b""
    checksum = int.from_bytes(raw[-2:], "little")
    if len(raw) != _SEED_BYTES or raw[:2] != _USER_SEED or binascii.crc_hqx(raw[:-2], 0) != checksum:
        raise NoCredential(f"{what}: expected the seed of a user's nkey, {_SEED_LENGTH} characters that begin with SU")
    return lines[0]


def _bytes(base32: str) -> bytes:
    try:
        return base64.b32decode(base32 + "=" * (-len(base32) % 8))
    except ValueError:
        return b""


def _read(path: str, what: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise NoCredential(f"{what}: it cannot be read ({error.strerror})") from None
    if len(content) > _MAX_FILE:
        raise NoCredential(f"{what}: expected at most {_MAX_FILE} bytes, got more")
    return content.decode(errors="replace")


def _mode(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return 0  # whoever reads it will say so
