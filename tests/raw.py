"""A NATS client that sends whatever bytes it is given, as no library would."""

from __future__ import annotations

import asyncio

_CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"lang":"raw","version":"0"}\r\n'


def published(subject: bytes, payload: bytes = b"", *, reply: bytes = b"", headers: bytes | None = None) -> bytes:
    """The bytes of one publish."""
    between = b" " + reply + b" " if reply else b" "
    if headers is None:
        return b"PUB %b%b%d\r\n%b\r\n" % (subject, between, len(payload), payload)
    whole = headers + payload
    return b"HPUB %b%b%d %d\r\n%b\r\n" % (subject, between, len(headers), len(whole), whole)


async def send(url: str, *frames: bytes) -> None:
    """Send the frames, and return when the server has taken them.

    Raises:
        AssertionError: the server refused them, so that they reached nobody.
    """
    host, _, port = url.removeprefix("nats://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(30):
            await reader.readline()
            writer.write(_CONNECT + b"".join(frames) + b"PING\r\n")
            await writer.drain()
            while (line := await reader.readline()) != b"PONG\r\n":
                assert line, "the server closed the connection"
                assert not line.startswith(b"-ERR"), f"the server refused the frames: {line!r}"
    finally:
        writer.close()
