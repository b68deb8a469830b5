"""A NATS client that sends whatever bytes it is given, as no library would."""

from __future__ import annotations

import asyncio
import json

from tests import enforcing

_CONNECT = {"verbose": False, "pedantic": False, "headers": True, "lang": "raw", "version": "0"}


def published(subject: bytes, payload: bytes = b"", *, reply: bytes = b"", headers: bytes | None = None) -> bytes:
    """The bytes of one publish."""
    between = b" " + reply + b" " if reply else b" "
    if headers is None:
        return b"PUB %b%b%d\r\n%b\r\n" % (subject, between, len(payload), payload)
    whole = headers + payload
    return b"HPUB %b%b%d %d\r\n%b\r\n" % (subject, between, len(headers), len(whole), whole)


async def send(url: str, *frames: bytes, caller: str = enforcing.OPERATOR) -> None:
    """Send the frames, to an enforced hub as that caller, and return when the server has taken them.

    Raises:
        AssertionError: the server refused them, so that they reached nobody.
    """
    login = {"auth_token": enforcing.token(caller)} if enforcing.is_enforced(url) else {}
    said = json.dumps({**_CONNECT, **login}).encode()
    host, _, port = url.removeprefix("nats://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(30):
            await reader.readline()
            writer.write(b"CONNECT " + said + b"\r\n" + b"".join(frames) + b"PING\r\n")
            await writer.drain()
            while (line := await reader.readline()) != b"PONG\r\n":
                assert line, "the server closed the connection"
                assert not line.startswith(b"-ERR"), f"the server refused the frames: {line!r}"
    finally:
        writer.close()
