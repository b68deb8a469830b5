"""HTTP: whether a request is answered as expected. Nothing is followed, kept, unpacked or used twice."""

from __future__ import annotations

import asyncio
import re
import ssl
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp import ClientRequest, ClientSession, ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace
from multidict import CIMultiDict
from yarl import URL

from hub.probes.dialing import Dialer, server_name
from hub.probes.look import Failed, clean, words
from hub.version import __version__
from hub.wire.checks import HttpCheck

USER_AGENT: Final = f"central-hub/{__version__}"
MAX_BODY: Final = 64 * 1024
"""Bytes of a body that are read at most."""
_READ_AT_ONCE: Final = 16 * 1024
_MOST_BYTES: Final = 2 * 1024 * 1024
"""Bytes of one answer in all, as they come from the network."""
_SPEAKS_TLS: Final = frozenset({"https", "wss", "grpcs", "tls", "ssl"})
_FRAMING: Final = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say where a message ends, and what becomes of the connection."""
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")


class _TooLong(aiohttp.ClientError):
    """More came than any answer is worth."""


class _Bounded(ResponseHandler):
    """Takes so much and no more: each header and the body have bounds, what else HTTP can go on with has none.

    A body that is not read holds its sender up long before this.
    """

    _left = _MOST_BYTES

    def data_received(self, data: bytes) -> None:
        """What came from the server."""
        self._left -= len(data)
        if self._left >= 0:
            super().data_received(data)
        elif self.transport is not None:
            self.set_exception(_TooLong())
            self.transport.abort()


class _Connector(aiohttp.BaseConnector):
    """Connects through the dialer alone, so that aiohttp, whatever it is made to do, comes to no other address."""

    def __init__(self, dialer: Dialer) -> None:
        super().__init__(force_close=True, limit=0)
        self._dialer = dialer

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        tls = req.ssl if isinstance(req.ssl, ssl.SSLContext) else None
        assert req.url.host is not None
        assert req.url.port is not None
        loop = asyncio.get_running_loop()
        _, protocol = await self._dialer.open(lambda: _Bounded(loop), req.url.host, req.url.port, tls=tls)
        return protocol


def open_session(dialer: Dialer) -> ClientSession:
    """What all HTTP probes share. Its owner closes it."""
    return ClientSession(
        connector=_Connector(dialer),
        timeout=ClientTimeout(total=None),  # a look has a timeout of its own
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=_READ_AT_ONCE,
        raise_for_status=False,
    )


def objection(check: HttpCheck) -> str | None:
    """Why the headers of a check cannot be sent; None where they can."""
    for name, value in check.headers.items():
        if not _NAME.fullmatch(name):
            return f"headers: expected the name of a header, got {clean(name)[:64]!r}"
        if name.lower() in _FRAMING:
            return f"headers: {name} is not for a check to set"
        if not _VALUE.fullmatch(value):
            return f"headers: expected a value of {name} without line breaks and control characters"
    return None


class HttpLook:
    """Sends one request on a connection of its own."""

    def __init__(
        self, session: ClientSession, dialer: Dialer, check: HttpCheck, *, host: str, port: int, protocol: str
    ) -> None:
        self._session = session
        host, port = check.host or host, check.port or port
        secure = protocol in _SPEAKS_TLS if check.tls is None else check.tls
        self._tls = dialer.context(verify=check.verify) if secure else False
        self._url = _url("https" if secure else "http", host, port, check.path)
        self._method = check.method
        self._headers = _headers(check, host, port, secure)
        low, _, high = check.expect_status.partition("-")
        self._low, self._high = int(low), int(high or low)
        self._expected_status = check.expect_status
        self._expected_body = check.expect_body

    async def __call__(self) -> str:
        """Look once."""
        if self._url is None:
            raise Failed("the host is not one that HTTP can be spoken to")
        try:
            async with self._session.request(
                self._method, self._url, headers=self._headers, allow_redirects=False, ssl=self._tls
            ) as response:
                try:
                    return await self._judge(response)
                finally:
                    response.close()
        except aiohttp.ClientError as error:
            raise Failed(_said(error)) from None

    async def _judge(self, response: aiohttp.ClientResponse) -> str:
        found = _status(response)
        if not self._low <= response.status <= self._high:
            if response.status < 300:
                found += f", expected {self._expected_status}"
            raise Failed(found)
        if self._expected_body:
            await self._read(response.content)
        return found

    async def _read(self, body: aiohttp.StreamReader) -> None:
        expected = self._expected_body.encode()
        read = bytearray()
        while len(read) < MAX_BODY:
            chunk = await body.read(min(_READ_AT_ONCE, MAX_BODY - len(read)))
            if not chunk:
                raise Failed(f"expected {self._expected_body!r} in the body")
            searched = max(0, len(read) - len(expected) + 1)
            read += chunk
            if read.find(expected, searched) >= 0:
                return
        raise Failed(f"expected {self._expected_body!r} in the first {MAX_BODY // 1024} KiB of the body")


def _url(scheme: str, host: str, port: int, path: str) -> URL | None:
    try:
        return URL(f"{scheme}://{_bracketed(host)}:{port}{path}", encoded=True)
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _headers(check: HttpCheck, host: str, port: int, secure: bool) -> CIMultiDict[str]:
    named = _bracketed(server_name(host)) if ":" in host else host
    headers = CIMultiDict(
        {
            "Host": named if port == (443 if secure else 80) else f"{named}:{port}",
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
        }
    )
    headers.update(check.headers)
    return headers


def _status(response: aiohttp.ClientResponse) -> str:
    """`503 Service Unavailable`; the server's own words for it only where there are no common ones."""
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = clean(response.reason or "")[:64]
    followed = ", not followed" if 300 <= response.status < 400 and response.status != 304 else ""
    return f"{response.status} {phrase}".rstrip() + followed


def _said(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientOSError) and isinstance(error.__cause__, OSError):
        return words(error.__cause__)
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError):
        return "connection closed without an answer"
    if isinstance(error, _TooLong):
        return "the answer does not end"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the body ended too soon"
    if isinstance(error, aiohttp.ClientResponseError):
        if "more than" in error.message or "too many" in error.message.lower():
            return "the headers are too large"
        return "the answer is not HTTP"
    return f"{type(error).__name__}: {error}"
