"""The HTTP application: finds the row of a request, and answers whatever comes, refusals and faults included."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.errors import Forbidden, HubError, InternalError, NotFound, Unauthenticated
from hub.identity.proof import Proof
from hub.sidecar import requests
from hub.sidecar.credentials import peer
from hub.sidecar.hosts import Hosts
from hub.sidecar.origins import NOBODY, Origins, preflight
from hub.sidecar.problems import MethodNotAllowed, refusal, unproven
from hub.sidecar.replies import HSTS, STRICT_TRANSPORT, respond
from hub.sidecar.row import Row, Serving
from hub.telemetry.meter import ResponseMeter
from hub.telemetry.request import RequestContext, on_behalf_of

log = structlog.get_logger(__name__)

OTHER = "other"
"""What requests are counted under that have no route."""
_REFUSED = 400
"""The status from which on a request did not succeed."""


def application(
    serving: Serving,
    meter: ResponseMeter,
    origins: Origins = NOBODY,
    *,
    hosts: Hosts | None = None,
    secure: bool = False,
) -> ASGIApp:
    """What answers every request.

    Args:
        serving: What answers.
        meter: Where to count.
        origins: Whose pages may read the answers.
        hosts: By which names it may be asked for where nobody has to prove who asks; None for any.
        secure: Whether it is only reached over TLS.
    """
    make = partial(Place, serving, meter=meter, origins=origins, hosts=hosts, secure=secure)
    places = {row.path: make(_rows(serving, row.path), name=row.path) for row in serving.table}
    by_generality = sorted(places, key=lambda path: "{" in path)  # `/config/reload` is no service
    routes = [Route(path, places[path]) for path in by_generality]
    return Router(routes, redirect_slashes=False, default=make((), name=OTHER))


def _rows(serving: Serving, path: str) -> Iterable[Row]:
    return (row for row in serving.table if row.path == path)


class Place:
    """Answers the requests for one path.

    Args:
        serving: What answers.
        rows: The rows of this path; none for all paths that there are no rows for.
        meter: Where to count.
        name: Under which name.
        origins: Whose pages may read the answers.
        hosts: By which names it may be asked for where nobody has to prove who asks; None for any.
        secure: Whether it is only reached over TLS.
    """

    def __init__(
        self,
        serving: Serving,
        rows: Iterable[Row],
        *,
        meter: ResponseMeter,
        name: str,
        origins: Origins,
        hosts: Hosts | None,
        secure: bool,
    ) -> None:
        self._serving = serving
        self._rows: dict[str, Row] = {row.method: row for row in rows}
        if "GET" in self._rows:
            self._rows["HEAD"] = self._rows["GET"]
        self._meter = meter
        self._name = name
        self._login = serving.login
        self._named = origins
        self._hosts = hosts
        self._origins = origins if origins else None
        self._preflight = preflight(self._rows.values(), login=serving.login is not None)
        self._more = {STRICT_TRANSPORT: HSTS} if secure else None
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
            if self._more is not None:
                response.headers.update(self._more)
            if self._origins is not None:
                self._origins.tell(request.headers.get("origin"), response)
        self._meter.count(self._name, response.status_code)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("ascii", "replace")
        try:
            row = self._rows.get(request.method)
            if row is not None:
                return await self._handled(row, request)
            if self._origins is not None and self._rows and self._origins.asks(request):
                return respond(b"", 204, headers=self._preflight)
            if not self._rows:
                raise NotFound(f"path: there is nothing at {path[:200]!r}; GET / lists what there is")
            allowed = ", ".join(self._rows)
            error = MethodNotAllowed(f"method: expected {allowed.replace(', ', ' or ')}, got {request.method[:40]!r}")
            return refusal(error, path, {"allow": allowed})
        except Unauthenticated as error:
            return unproven(error, path)
        except HubError as error:
            return refusal(error, path)
        except ClientDisconnect:
            raise
        except Exception as error:  # whatever a request brings about, the next one is served
            log.error("HTTP request failed by a fault of the hub", route=self._name, exc_info=error)
            return refusal(InternalError(f"{self._name}: the hub failed; its log says why"), path)

    async def _handled(self, row: Row, request: Request) -> Response:
        """What a row answers to who may ask it."""
        if self._named.strangers(request):
            raise Forbidden(
                "origin: pages of other origins change nothing here without a token or key of their own; those that "
                "may are named by http.cors_origins",
                field="origin",
            )
        if self._login is None:
            if self._hosts is not None and row.login != "none":
                self._hosts.check(request.headers.get("host"))
            if row.channel is not None:
                self._serving.hub.admit_address(peer(request), row.channel.address)
            return await row.handle(self._serving, row, request)
        requests.check_announced(request)
        proof = request.state.proof = await self._login.proof_of(request, row.login)
        if proof is not None:
            check_scopes(proof, row)
        with on_behalf_of(None if proof is None else proof.caller):
            response = await row.handle(self._serving, row, request)
        if proof is not None and row.method == "GET" and not row.events and not self._login.holds(proof):
            raise Unauthenticated(f"{proof.credential}: holds no longer, since the request came")  # it may have waited
        return response


def check_scopes(proof: Proof, row: Row) -> None:
    """Raise Forbidden where a login is good for less than its role may do, and not for this row."""
    rules = row.channel or row.like
    if proof.scopes is not None and rules is not None and rules.right not in proof.scopes:
        good = ", ".join(proof.scopes) or "nothing"
        raise Forbidden(f"login: expected one that is good for {rules.right}, got one for {good}")
