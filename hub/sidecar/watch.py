"""`GET /discovery/watch`: what changes, as server-sent events, for as long as the caller listens."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub.sidecar.feed import Feed, Watcher
from hub.sidecar.replies import SECURITY
from hub.sidecar.row import Row, Serving
from hub.sidecar.translation import payload
from hub.wire.codec import Decoder
from hub.wire.names import ServiceName

MEDIA_TYPE: Final = "text/event-stream"


class Watch(Struct, frozen=True, kw_only=True):
    """Which changes are wanted."""

    name: Annotated[tuple[ServiceName, ...], Meta(max_length=64)] = ()
    """Only of these services; of all where none is given."""


_decode = Decoder(Watch)


async def watched(serving: Serving, row: Row, request: Request) -> Response:
    """A snapshot and then the changes. Whoever comes back gets a snapshot again, whatever it has seen before."""
    wanted = _decode(payload(Watch, {}, request.query_params.multi_items()))
    if request.method == "HEAD":
        return Response(headers=_HEADERS)
    return EventStream(serving.feed, serving.feed.open(wanted.name))


_HEADERS: Final = {**SECURITY, "content-type": MEDIA_TYPE, "x-accel-buffering": "no"}


class EventStream(Response):
    """The events of one watcher, which is given back in the end."""

    def __init__(self, feed: Feed, watcher: Watcher) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._feed = feed
        self._watcher = watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the caller hangs up or the watcher is closed; a caller who does not read is not sent more."""
        listening = asyncio.create_task(self._listen(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for piece in self._watcher.frames():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._feed.close(self._watcher)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, receive: Receive) -> None:
        """Close the watcher when the caller hangs up."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._watcher.close()
