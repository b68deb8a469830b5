"""What callers send: bodies that end in time and are not too large, and callers who are still there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect, Request

from hub.errors import PayloadTooLarge, Unavailable
from hub.sidecar.problems import RequestTimeout, UnsupportedMediaType
from hub.wire.codec import MAX_MESSAGE_BYTES

PATIENCE: Final = 10.0
"""Seconds in which a whole request has to come, its head and its body each."""

T = TypeVar("T")


async def body(request: Request) -> bytes:
    """The body of a request, which is JSON where it says what it is.

    Raises:
        UnsupportedMediaType: it says that it is something else.
        PayloadTooLarge: more than a message may have; the rest is not read.
        RequestTimeout: it does not come in time.
        ClientDisconnect: the caller has gone.
    """
    _check_type(request.headers.get("content-type"))
    check_announced(request)
    read = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                read += chunk
                if len(read) > MAX_MESSAGE_BYTES:
                    raise _too_large("more")
    except TimeoutError:
        raise RequestTimeout(f"message: expected a whole body within {PATIENCE:g} s, got {len(read)} bytes") from None
    return bytes(read)


def check_announced(request: Request) -> None:
    """Raise PayloadTooLarge where a body is on its way that would be too large, before any of it is read."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_MESSAGE_BYTES:
        raise _too_large(announced)


async def while_there(request: Request, work: Coroutine[Any, Any, T], waiting: set[asyncio.Task[Any]]) -> T:
    """Wait for what may take long, as long as the caller waits too. It is among `waiting` meanwhile.

    Raises:
        ClientDisconnect: the caller has gone, and the work was given up at once.
        Unavailable: it was called off, since the sidecar ends.
        Exception: whatever the work raises.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(request))
    waiting.add(working)
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        if working.cancelled():
            raise Unavailable("hub: it is stopping; ask another, or again")
        return working.result()
    finally:
        waiting.discard(working)
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    """Return when the caller hangs up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _check_type(given: str | None) -> None:
    kind = (given or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedMediaType(f"content-type: expected application/json, or none, got {kind[:80]!r}")


def _too_large(got: str) -> PayloadTooLarge:
    return PayloadTooLarge(f"message: expected at most {MAX_MESSAGE_BYTES} bytes, got {got}")
