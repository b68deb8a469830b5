"""HTTP: whether a request is answered as expected. Nothing is followed, kept, unpacked or used twice."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Final, cast

import httptools

from hub.probes.dialing import Dialer, server_name
from hub.probes.look import Failed, clean, words
from hub.version import __version__
from hub.wire.checks import HttpCheck

USER_AGENT: Final = f"central-hub/{__version__}"
MAX_BODY: Final = 64 * 1024
"""Bytes of a body that are read at most."""
_MAX_HEAD: Final = 64 * 1024
"""Bytes that may come before the body begins."""
_MOST_BYTES: Final = 2 * 1024 * 1024
"""Bytes of one answer in all, with everything beside the body that HTTP lets a server go on with."""
_SPEAKS_TLS: Final = frozenset({"https", "wss", "grpcs", "tls", "ssl"})
_DELIMITED: Final = frozenset({b"content-length", b"transfer-encoding"})
_FRAMING: Final = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say where a message ends, and what becomes of the connection."""
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")


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

    def __init__(self, dialer: Dialer, check: HttpCheck, *, host: str, port: int, protocol: str) -> None:
        self._dialer = dialer
        self._host, self._port = check.host or host, check.port or port
        secure = protocol in _SPEAKS_TLS if check.tls is None else check.tls
        self._tls = dialer.context(verify=check.verify) if secure else None
        self._expected = _Expected(check)
        self._request = _request(check, self._host, self._port, secure)

    async def __call__(self) -> str:
        """Look once."""
        found = asyncio.get_running_loop().create_future()
        transport, _ = await self._dialer.open(
            lambda: _Exchange(self._request, self._expected, found), self._host, self._port, tls=self._tls
        )
        try:
            return cast(str, await found)
        finally:
            transport.abort()


class _Expected:
    """What an answer is held against."""

    __slots__ = ("_high", "_low", "_range", "text", "wanted")

    def __init__(self, check: HttpCheck) -> None:
        low, _, high = check.expect_status.partition("-")
        self._low, self._high, self._range = int(low), int(high or low), check.expect_status
        self.text = check.expect_body
        self.wanted = check.expect_body.encode()

    def judge(self, status: int, reason: bytes) -> str:
        """What to say of a status that is good. Raises Failed where it is none."""
        found = _described(status, reason)
        if self._low <= status <= self._high:
            return found
        raise Failed(f"{found}, expected {self._range}" if status < 300 else found)


class _Exchange(asyncio.Protocol):
    """A request, and of its answer as much as is needed.

    The callbacks of `httptools` have no way out but `_found`, where the first who has something to say settles it.
    """

    def __init__(self, request: bytes, expected: _Expected, found: asyncio.Future[str]) -> None:
        self._request = request
        self._expected = expected
        self._found = found
        self._parser = httptools.HttpResponseParser(self)
        self._come = 0
        self._reason = b""
        self._passing: str | None = None
        """What to say if the body is good, too; None before it begins."""
        self._delimited = False
        self._body = bytearray()

    # --- the connection, as `asyncio.Protocol` has it

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
        except httptools.HttpParserUpgrade:
            pass  # its head was judged, and no more is wanted
        except httptools.HttpParserError:
            self._fail("the answer is not HTTP" if self._passing is None else "the body is malformed")
        if self._passing is None and self._come > _MAX_HEAD:
            self._fail("the headers are too large")
        elif self._come > _MOST_BYTES:
            self._fail("the answer does not end")

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        if self._passing is not None:
            self._fail("the body ended too soon" if self._delimited else self._missed())
        elif isinstance(exc, OSError) and exc.errno:
            self._fail(words(exc))
        else:
            self._fail("connection closed without an answer")

    # --- the answer, as `httptools.HttpResponseParser` has it

    def on_message_begin(self) -> None:
        """An answer, which may be the last or an interim one (100-199)."""
        self._reason, self._delimited = b"", False

    def on_status(self, status: bytes) -> None:
        """The server's own words for the status, or a part of them."""
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._delimited |= name.lower() in _DELIMITED

    def on_headers_complete(self) -> None:
        """Judge the status; go on where the body matters."""
        status = self._parser.get_status_code()
        if status < 200 and status != HTTPStatus.SWITCHING_PROTOCOLS:
            return
        try:
            passing = self._expected.judge(status, self._reason)
        except Failed as failed:
            self._fail(str(failed))
            return
        if self._expected.wanted:
            self._passing = passing
        else:
            self._pass(passing)

    def on_body(self, body: bytes) -> None:
        """Look for the expected text in what has come so far."""
        if self._found.done() or self._passing is None:
            return
        wanted = self._expected.wanted
        searched = max(0, len(self._body) - len(wanted) + 1)
        self._body += body[: MAX_BODY - len(self._body)]
        if self._body.find(wanted, searched) >= 0:
            self._pass(self._passing)
        elif len(self._body) >= MAX_BODY:
            self._fail(f"expected {self._expected.text!r} in the first {MAX_BODY // 1024} KiB of the body")

    def on_message_complete(self) -> None:
        """The answer has ended, and the text was not in it."""
        if self._passing is not None:
            self._fail(self._missed())

    # --- the verdict

    def _missed(self) -> str:
        return f"expected {self._expected.text!r} in the body"

    def _pass(self, output: str) -> None:
        if not self._found.done():
            self._found.set_result(output)

    def _fail(self, output: str) -> None:
        if not self._found.done():
            self._found.set_exception(Failed(output))


def _request(check: HttpCheck, host: str, port: int, secure: bool) -> bytes:
    name = server_name(host)
    named = f"[{name}]" if ":" in host else name
    headers = {
        "Host": named if port == (443 if secure else 80) else f"{named}:{port}",
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }
    given = {name.lower() for name in check.headers}
    headers = {name: value for name, value in headers.items() if name.lower() not in given} | check.headers
    lines = [f"{check.method} {check.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def _described(status: int, reason: bytes) -> str:
    """`503 Service Unavailable`; the server's own words for it only where there are no common ones."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = clean(reason.decode(errors="replace"))[:64]
    followed = ", not followed" if 300 <= status < 400 and status != HTTPStatus.NOT_MODIFIED else ""
    return f"{status} {phrase}".rstrip() + followed
