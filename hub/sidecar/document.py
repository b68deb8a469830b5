"""`GET /openapi.json` and `GET /docs`: made once, away from the event loop, when somebody asks for the first time."""

from __future__ import annotations

import asyncio
from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from hub.sidecar import openapi, page
from hub.sidecar.replies import respond, tagged
from hub.sidecar.row import Row, Serving
from hub.wire.codec import encode


async def openapi_json(serving: Serving, row: Row, request: Request) -> Response:
    """Every route as OpenAPI 3.1, for machines."""
    return tagged(request, respond(await asyncio.to_thread(_openapi, serving.table)))


async def docs_page(serving: Serving, row: Row, request: Request) -> Response:
    """Every route explained on one page that loads nothing from anywhere."""
    body = await asyncio.to_thread(_page, serving.table, request.url.scheme)
    headers = {"content-security-policy": page.POLICY}
    return tagged(request, respond(body, media_type="text/html; charset=utf-8", headers=headers))


@cache
def _openapi(table: tuple[Row, ...]) -> bytes:
    return encode(openapi.document(table))


@cache
def _page(table: tuple[Row, ...], scheme: str) -> bytes:
    return page.render(table, openapi.document(table), scheme).encode()
