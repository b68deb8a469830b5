"""`GET /discovery/watch`: what changes, as server-sent events, for as long as the caller listens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub.identity.proof import Proof
from hub.sidecar.feed import Feed, Watcher
from hub.sidecar.login import Login
from hub.sidecar.replies import SECURITY
from hub.sidecar.row import Row, Serving
from hub.sidecar.translation import payload
from hub.wire.codec import Decoder, encode
from hub.wire.discovery import Discover, Services
from hub.wire.names import ServiceName
from hub.wire.subjects import DISCOVER, SERVICES

MEDIA_TYPE: Final = "text/event-stream"


class Watch(Struct, frozen=True, kw_only=True):
    """Which changes are wanted."""

    name: Annotated[tuple[ServiceName, ...], Meta(max_length=64)] = ()
    """Only of these services; of all where none is given."""


_decode = Decoder(Watch)


async def watched(serving: Serving, row: Row, request: Request) -> Response:
    """A snapshot and then the changes. Whoever comes back gets a snapshot again, whatever it has seen before.

    Where who asks must be proven, it has to be somebody who may ask for the same on NATS, of each service that is named
    or of all, and for as long as it lasts.
    """
    wanted = _decode(payload(Watch, {}, request.query_params.multi_items()))
    login, proof = serving.login, None
    if login is not None:
        proof = request.state.proof
        for subject, question in _questions(wanted):
            serving.hub.admit(subject, question)
    if request.method == "HEAD":
        return Response(headers=_HEADERS)
    return EventStream(serving.feed, serving.feed.open(wanted.name), login, proof)


def _questions(wanted: Watch) -> Iterator[tuple[str, bytes]]:
    """What would be asked on NATS to know the same, subject and message."""
    if not wanted.name:
        yield SERVICES, encode(Services())
    for name in wanted.name:
        yield DISCOVER, encode(Discover(name=name))


_HEADERS: Final = {**SECURITY, "content-type": MEDIA_TYPE, "x-accel-buffering": "no"}


class EventStream(Response):
    """The events of one watcher, which is given back in the end."""

    def __init__(self, feed: Feed, watcher: Watcher, login: Login | None = None, proof: Proof | None = None) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._feed = feed
        self._watcher = watcher
        self._login = login
        self._proof = proof

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the caller hangs up or the watcher is closed; a caller who does not read is not sent more.

        The watcher is closed too when what has proven who listens does not hold any more.
        """
        listening = asyncio.create_task(self._listen(receive))
        try:
            with self._while_proven():
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                async for piece in self._watcher.frames():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._feed.close(self._watcher)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _while_proven(self) -> AbstractContextManager[None]:
        if self._login is None or self._proof is None:
            return nullcontext()
        return self._login.listening(self._proof, self._watcher.close)

    async def _listen(self, receive: Receive) -> None:
        """Close the watcher when the caller hangs up."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._watcher.close()
