"""The HTTP application: finds the row of a request, and answers whatever comes, refusals and faults included."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.errors import HubError, InternalError, NotFound
from hub.sidecar.problems import MethodNotAllowed, refusal
from hub.sidecar.row import Row, Serving
from hub.telemetry.meter import ResponseMeter
from hub.telemetry.request import RequestContext

log = structlog.get_logger(__name__)

OTHER = "other"
"""What requests are counted under that have no route."""
_REFUSED = 400
"""The status from which on a request did not succeed."""


def application(serving: Serving, meter: ResponseMeter) -> ASGIApp:
    """What answers every request."""
    places = {
        row.path: Place(serving, (one for one in serving.table if one.path == row.path), meter, row.path)
        for row in serving.table
    }
    by_generality = sorted(places, key=lambda path: "{" in path)  # `/config/reload` is no service
    routes = [Route(path, places[path]) for path in by_generality]
    return Router(routes, redirect_slashes=False, default=Place(serving, (), meter, OTHER))


class Place:
    """Answers the requests for one path.

    Args:
        serving: What answers.
        rows: The rows of this path; none for all paths that there are no rows for.
        meter: Where to count.
        name: Under which name.
    """

    def __init__(self, serving: Serving, rows: Iterable[Row], meter: ResponseMeter, name: str) -> None:
        self._serving = serving
        self._rows: dict[str, Row] = {row.method: row for row in rows}
        if "GET" in self._rows:
            self._rows["HEAD"] = self._rows["GET"]
        self._meter = meter
        self._name = name
        for row in self._rows.values():
            meter.expect(name, row.status)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        request = Request(scope, receive)
        with RequestContext.from_headers(request.headers) as context:
            try:
                response = await self._answer(request)
            except ClientDisconnect:
                return  # there is nobody to answer
            response.headers.update(context.reply_headers(failed=response.status_code >= _REFUSED))
        self._meter.count(self._name, response.status_code)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("ascii", "replace")
        try:
            row = self._rows.get(request.method)
            if row is not None:
                return await row.handle(self._serving, row, request)
            if not self._rows:
                raise NotFound(f"path: there is nothing at {path[:200]!r}; GET / lists what there is")
            allowed = ", ".join(self._rows)
            error = MethodNotAllowed(f"method: expected {allowed.replace(', ', ' or ')}, got {request.method[:40]!r}")
            return refusal(error, path, {"allow": allowed})
        except HubError as error:
            return refusal(error, path)
        except ClientDisconnect:
            raise
        except Exception as error:  # whatever a request brings about, the next one is served
            log.error("HTTP request failed by a fault of the hub", route=self._name, exc_info=error)
            return refusal(InternalError(f"{self._name}: the hub failed; its log says why"), path)
