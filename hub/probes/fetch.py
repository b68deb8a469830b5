"""Fetching a small document over HTTP: one GET on a connection of its own, that is redirected nowhere and ends."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import SplitResult, urlsplit

import httptools

from hub.probes.dialing import Dialer, server_name
from hub.probes.http import USER_AGENT
from hub.probes.look import Failed, words
from hub.probes.names import Names, Resolve, resolve_by_system
from hub.probes.targets import Targets
from hub.transport.tls import Tls, explain

_MAX_HEAD: Final = 64 * 1024
_ANYWHERE: Final = ("0.0.0.0/0", "::/0")
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_PORTS: Final = {"https": 443, "http": 80}


class Fetcher:
    """Fetches one document, again and again. Its context ends what it waits for.

    Over https the other side is verified; plain http goes to no machine but this one, whatever its host resolves to.

    Args:
        url: Where it is, http or https.
        ca: The file of the CAs (PEM) that are trusted, in place of those of the machine.
        most: Bytes that it may have.
        timeout: Seconds that fetching it may take.
        resolve: Finds the addresses of a host.
    """

    def __init__(
        self, url: str, *, ca: str | None, most: int, timeout: float, resolve: Resolve = resolve_by_system
    ) -> None:
        self._url = urlsplit(url)
        self._secure = self._url.scheme == "https"
        self._ca = ca
        self._most = most
        self._timeout = timeout
        self._names = Names(resolve)
        forbidden, allowed = ((), ()) if self._secure else (_ANYWHERE, _LOOPBACK)
        self._dialer = Dialer(Targets(forbidden=forbidden, allowed=allowed, names=self._names))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._names.aclose()

    async def __call__(self) -> bytes:
        """What is there now.

        Raises:
            Failed: it cannot be had; says why.
        """
        host = self._url.hostname or ""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._fetched(host)
        except TimeoutError:
            raise Failed(f"no answer within {self._timeout:g} s") from None
        except OSError as error:
            raise Failed(explain(error, host) or words(error)) from None

    async def _fetched(self, host: str) -> bytes:
        tls = await asyncio.to_thread(Tls(ca=self._ca).context) if self._secure else None
        port = self._url.port or _PORTS[self._url.scheme]
        found: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        request = _request(self._url, host)
        transport, _ = await self._dialer.open(lambda: _Exchange(request, self._most, found), host, port, tls=tls)
        try:
            return await found
        finally:
            transport.abort()


class _Exchange(asyncio.Protocol):
    """A request, and the body of its answer.

    The callbacks of `httptools` have no way out but `_found`, where the first who has something to say settles it.
    """

    def __init__(self, request: bytes, most: int, found: asyncio.Future[bytes]) -> None:
        self._request = request
        self._most = most
        self._found = found
        self._parser = httptools.HttpResponseParser(self)
        self._come = 0
        self._begun = False
        self._delimited = False
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read on, unless enough was read."""
        if self._found.done():
            return
        self._come += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError):
            self._fail("the answer is not HTTP")
        if self._come > _MAX_HEAD + 2 * self._most:  # a body in chunks of a few bytes has that much around it
            self._fail("the answer does not end")

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come; without a length, that is how a body ends."""
        if self._begun and not self._delimited and exc is None:
            self._pass()
        self._fail("the answer ended too soon")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._delimited |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        """Judge the status."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._delimited = False
            return
        if status != HTTPStatus.OK:
            self._fail(f"expected status 200, got {status}{', not followed' if 300 <= status < 400 else ''}")
        self._begun = True

    def on_body(self, body: bytes) -> None:
        """Keep what has come."""
        self._body += body
        if len(self._body) > self._most:
            self._fail(f"expected at most {self._most} bytes, got more")

    def on_message_complete(self) -> None:
        """It is all there."""
        if self._begun:
            self._pass()

    def _pass(self) -> None:
        if not self._found.done():
            self._found.set_result(bytes(self._body))

    def _fail(self, why: str) -> None:
        if not self._found.done():
            self._found.set_exception(Failed(why))


def _request(url: SplitResult, host: str) -> bytes:
    name = server_name(host)
    named = f"[{name}]" if ":" in name else name
    shown = named if url.port in (None, _PORTS[url.scheme]) else f"{named}:{url.port}"
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {shown}",
        f"User-Agent: {USER_AGENT}",
        "Accept: application/json, application/jwk-set+json",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    return "\r\n".join([*lines, "", ""]).encode()
