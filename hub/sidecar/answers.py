"""What the routes answer: a request is translated into a message, and the hub's reply to that passed on."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from hub.sidecar import requests
from hub.sidecar.replies import respond, tagged
from hub.sidecar.row import Row, Serving
from hub.sidecar.translation import payload
from hub.sidecar.vitals import components
from hub.wire.codec import encode

REVISION_HEADER = "hub-revision"
"""The revision of the answer, for who does not want to read the body for it."""


class _Listed(Struct):
    """What a list says besides."""

    revision: int | None = None
    next: str | int | None = None


_listed = msgspec.json.Decoder(_Listed).decode


async def posted(serving: Serving, row: Row, request: Request) -> Response:
    """The hub's reply to what path and body say."""
    assert row.channel is not None
    message = row.translate(await requests.body(request), request.path_params)
    return respond(await serving.hub.ask(row.channel.address, message), row.status)


async def told(serving: Serving, row: Row, request: Request) -> Response:
    """The hub's reply to what path and query say."""
    assert row.channel is not None
    return respond(await serving.hub.ask(row.channel.address, _message(row, request)), row.status)


async def listed(serving: Serving, row: Row, request: Request) -> Response:
    """The list that is the hub's reply to what path and query say, with where it goes on."""
    return _list(row, request, await _asked(serving, row, request))


async def health(serving: Serving, row: Row, request: Request) -> Response:
    """The same list, and how the hub and what it depends on are."""
    reply = await _asked(serving, row, request)
    return _list(row, request, encode(components(serving.hub))[:-1] + b"," + reply[1:])


async def beaten(serving: Serving, row: Row, request: Request) -> Response:
    """Nothing, once the beat is on its way to every replica."""
    message = await requests.body(request)
    await serving.hub.heartbeat(request.path_params["name"], request.path_params["instance_id"], message)
    response = respond(b"", row.status)
    del response.headers["content-type"]
    return response


def _message(row: Row, request: Request) -> bytes:
    assert row.query is not None
    return payload(row.query, request.path_params, request.query_params.multi_items())


async def _asked(serving: Serving, row: Row, request: Request) -> bytes:
    assert row.channel is not None
    asking = serving.hub.ask(row.channel.address, _message(row, request))
    if "wait" not in request.query_params:
        return await asking
    return await requests.while_there(request, asking, serving.waiting)


def _list(row: Row, request: Request, body: bytes) -> Response:
    said = _listed(body)
    headers = {} if said.revision is None else {REVISION_HEADER: str(said.revision)}
    if said.next is not None:
        bound = "before" if "before" in row.parameters else "after"
        headers["link"] = f'<{_further(request, bound, said.next)}>; rel="next"'
    return tagged(request, respond(body, headers=headers))


def _further(request: Request, bound: str, last: str | int) -> str:
    """Where the list goes on: the same question, behind what was answered, and without waiting again."""
    kept = [
        (name, text) for name, text in request.query_params.multi_items() if name not in (bound, "wait", "min_revision")
    ]
    path = quote(request.scope["path"])
    return f"{path}?{urlencode([*kept, (bound, last)])}"
