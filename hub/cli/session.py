"""One command's talk with a hub: connect, ask, and say in plain words when nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.cli import failure
from hub.cli.failure import AnsweredTooLate, NobodyAnswers
from hub.cli.options import credentials_given, tls_given
from hub.errors import DeadlineExceeded, Forbidden, HubError, Unauthenticated, Unavailable, Untrusted
from hub.transport.connection import (
    Credentials,
    ErrorNotice,
    Notice,
    Notices,
    close,
    connect,
    describe,
    refused_by,
    without_password,
)
from hub.transport.login import HUNG_UP, NoCredential, NotLetIn
from hub.transport.requests import Requester
from hub.transport.tls import explain
from hub.wire.codec import encode
from hub.wire.correlation import REQUEST_ID_HEADER, new_request_id
from hub.wire.fault import raise_for

CLIENT_NAME = "hub-cli"
_NEXT_STEP = "Start one with `hub up`, or name another NATS with --nats or NATS_URL"
_LOGIN = "Log in with --nkey, --token-file or --creds, or with HUB_NKEY, HUB_TOKEN_FILE or HUB_API_KEY"

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end; Ctrl-C cancels it and comes out as KeyboardInterrupt."""
    return asyncio.run(work)


async def _ignore() -> None:
    return None


async def _ignore_error(error: Exception) -> None:
    return None


class Session:
    """An open connection, and how long to wait for answers on it.

    Attributes:
        client: The connection, for what is not a request.
        where: The servers, as they may be shown.
    """

    def __init__(self, client: Client, requester: Requester, where: str, timeout: float, trouble: _Trouble) -> None:
        self.client = client
        self.where = where
        self._requester = requester
        self._timeout = timeout
        self._trouble = trouble

    async def ask(self, subject: str, question: object, kind: type[T], *, patience: float = 0.0) -> T:
        """Send a request and decode its reply.

        Args:
            subject: What to ask.
            question: The message: a wire struct, or a dict of its fields where the hub is to judge them.
            kind: The struct of a success reply.
            patience: Seconds that the hub itself was asked to wait before it answers.

        Raises:
            NobodyAnswers: no hub listens.
            AnsweredTooLate: no answer came in time.
            Forbidden: NATS, or the hub, does not let us do this.
            HubError: what the hub's error reply says.

            Each carries the id under which the request went out.
        """
        request_id = new_request_id()
        try:
            reply = await self._send(subject, encode(question), request_id, patience)
            raise_for(reply.data, reply.headers)
            return _decoded(subject, reply.data, kind)
        except (Forbidden, Unauthenticated) as error:
            said = type(error)(f"{error.message}{self._trouble.by}", field=error.field)
            said.request_id = error.request_id or request_id
            raise said from None
        except HubError as error:
            error.request_id = error.request_id or request_id
            raise

    async def _send(self, subject: str, payload: bytes, request_id: str, patience: float) -> Msg:
        headers = {REQUEST_ID_HEADER: request_id}
        timeout = self._timeout + patience
        try:
            return await self._requester.request(subject, payload, headers=headers, timeout=timeout)
        except DeadlineExceeded:
            raise AnsweredTooLate(
                f"no hub answers on {self.where}: {subject} was not answered within {timeout:g} s. "
                "Look at the hub's log, or give it longer with --timeout"
            ) from None
        except Unavailable:
            raise NobodyAnswers(
                f"no hub answers on {self.where}: NATS is there, but nobody listens on {subject}. {_NEXT_STEP}"
            ) from None


@contextlib.asynccontextmanager
async def connected(
    urls: list[str],
    timeout: float,
    *,
    disconnected: Notice = _ignore,
    reconnected: Notice = _ignore,
    error: ErrorNotice = _ignore_error,
) -> AsyncIterator[Session]:
    """A session that ends with its block.

    Args:
        urls: NATS servers; the first that answers is taken.
        timeout: Seconds for the connection, and for each answer.
        disconnected: Told of a loss; the connection comes back by itself.
        reconnected: Told of its return.
        error: Told of errors on the open connection.

    Raises:
        NobodyAnswers: no server answers.
        Unauthenticated: one does, and does not let us in; or there is nothing to log in with.
        Untrusted: one does, and is not who it should be, or does not take us for who we are.
    """
    where = ", ".join(without_password(url) for url in urls)
    credentials = credentials_given()
    trouble = _Trouble(urls, credentials, error)
    notices = Notices(disconnected=disconnected, reconnected=reconnected, error=trouble.heard)
    try:
        client = await connect(
            urls, name=CLIENT_NAME, notices=notices, credentials=credentials, tls=tls_given(), timeout=timeout
        )
    except (Unavailable, Unauthenticated) as error:
        if isinstance(error, Untrusted) and not trouble.heard_any:
            raise  # a file that cannot be used, found before anybody was asked
        raise trouble.explain(where) from None
    trouble.connecting = False
    try:
        async with Requester(client, refusal=Forbidden) as requester:
            yield Session(client, requester, where, timeout, trouble)
    finally:
        await close(client)


class _Trouble:
    """Hears the connection's errors: ends an attempt when every server has failed once, and remembers why."""

    def __init__(self, urls: list[str], credentials: Credentials, then: ErrorNotice) -> None:
        self.connecting = True
        self.by = f" (logged in with {credentials})" if credentials else ""
        self._urls = urls
        self._credentials = credentials
        self._then = then
        self._failures: list[Exception] = []
        self._told: set[str] = set()

    @property
    def heard_any(self) -> bool:
        """Whether a server has failed."""
        return bool(self._failures)

    async def heard(self, error: Exception) -> None:
        """Take note. While connecting, the last server's error is raised again, which ends the attempt."""
        if self.connecting:
            self._failures.append(error)
            if len(self._failures) >= len(self._urls):
                raise error
            return
        if isinstance(error, NotLetIn | NoCredential) and str(error) not in self._told:
            self._told.add(str(error))
            failure.warn(f"NATS: {error}; trying on{self.by}")
        await self._then(error)

    def explain(self, where: str) -> HubError:
        """Why there is no connection, and what to do about it."""
        for error in self._failures:
            untrusted = explain(error)
            if untrusted is not None:
                return Untrusted(
                    f"NATS at {where}: {untrusted}. The files are named by --tls-ca, --tls-cert and --tls-key"
                )
            if isinstance(error, NoCredential):
                return Unauthenticated(f"{error}. {_LOGIN}")
            if isinstance(error, NotLetIn) and error.refused:
                return self._refused(where, str(error))
        if self._failures and isinstance(self._failures[-1], ConnectionResetError):
            return self._refused(where, HUNG_UP)
        cause = _words(self._failures[-1]) if self._failures else "no answer in time"
        return NobodyAnswers(f"no hub answers on {where}: no NATS server is there ({cause}). {_NEXT_STEP}")

    def _refused(self, where: str, why: str) -> Unauthenticated:
        return Unauthenticated(
            f"NATS at {where} refuses the login ({why}){refused_by(self._credentials, self._urls)}. {_LOGIN}"
        )


def _decoded(subject: str, payload: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.MsgspecError as error:
        raise HubError(f"{subject}: the answer is not what this version of the command expects ({error})") from None


def _words(error: Exception) -> str:
    """A connection's error in plain words."""
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return describe(error).removeprefix("nats: ")
