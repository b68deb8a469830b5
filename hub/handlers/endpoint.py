"""One subject answered: the message in, a reply or an error reply out, counted and timed either way."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from time import perf_counter
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hub.errors import HubError, InternalError, Overloaded, RateLimited, Unauthenticated
from hub.handlers.following import Following
from hub.handlers.gate import Asked, Gate, Unproven, Witness
from hub.handlers.inflight import InFlight
from hub.handlers.sparing import Sparing
from hub.telemetry.meter import OK, RequestMeter
from hub.telemetry.request import RequestContext, current_caller, current_request, on_behalf_of
from hub.transport.direct import DirectMessage, subscribe_direct
from hub.transport.requestinfo import Callers
from hub.wire import fault
from hub.wire.subjects import QUEUE_GROUP

log = structlog.get_logger(__name__)

Respond = Callable[[bytes], bytes | Coroutine[Any, Any, bytes]]
"""Answers a payload: at once with the reply, or with a coroutine for it where it takes I/O or waiting."""

OnHeaders = Callable[[bytes, Mapping[str, str]], None]
"""Told the payload and the headers of a request that has any, before it is answered; may refuse it as `Respond` may."""

_FORBIDDEN_REPLIES = ("hub.", "$")
"""A reply is published with the hub's rights. A caller that names one of our subjects, or the server's, as its inbox
would have the hub speak there in its place."""

_NOBODY = Following()


class Endpoint:
    """Answers the requests on one subject.

    What can be answered at once is answered as it is read; what cannot is put in flight, since nothing else is read
    meanwhile.

    A request that brings headers is handled within their `RequestContext`, and so is all that takes waiting; the reply
    says what the caller called it, and the reply to one that failed always has an id. What brings no headers and is
    answered at once, as nearly every discovery, goes without.

    Args:
        client: Where to listen and to answer.
        subject: What to listen on.
        respond: What answers.
        in_flight: Where work goes that takes waiting.
        meter: Where to count.
        queue: The queue group through which the replicas share the requests; empty where each of them answers all.
        headers: Headers of the replies, those to refused requests apart.
        on_headers: Told of requests with headers; None where these say nothing.
        following: What is to be told of single requests.
        patient: Whether callers may ask to wait: what was put in flight is then never called slow.
        gate: What requests pass first; None where nobody proves who asks.
        witness: Is told how requests ended, where there is no gate, which has witnesses of its own.
    """

    def __init__(
        self,
        client: Client,
        subject: str,
        respond: Respond,
        *,
        in_flight: InFlight,
        meter: RequestMeter,
        queue: str = QUEUE_GROUP,
        headers: Mapping[str, str] | None = None,
        on_headers: OnHeaders | None = None,
        following: Following = _NOBODY,
        patient: bool = False,
        gate: Gate | None = None,
        witness: Witness | None = None,
    ) -> None:
        self._client = client
        self._subject = subject
        self._respond = respond
        self._in_flight = in_flight
        self._meter = meter
        self._queue = queue
        self._headers = dict(headers) if headers else None
        self._on_headers = on_headers
        self._following = following
        self._patient = patient
        self._gate = gate
        self._witness: Gate | Witness | None = gate or witness
        self._callers = Callers()
        self._sparing = Sparing()
        self._turned_away: tuple[HubError | None, bytes, dict[str, str]] = None, b"", {}
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Begin to answer."""
        deliver = self._on_message if self._gate is None else self._on_stamped
        self._subscription = await subscribe_direct(self._client, self._subject, deliver, queue=self._queue)

    async def drain(self) -> None:
        """Take no more requests, but answer those already received. What is in flight is for its owner to wait for."""
        if self._subscription is not None and self._client.is_connected:
            await self._subscription.drain()  # type: ignore[no-untyped-call]
        self._subscription = None

    async def ask(self, payload: bytes) -> bytes:
        """The reply to a request that came another way than NATS: by the same rules and bounds, and counted with them.

        Raises:
            HubError: it is refused.
        """
        began = perf_counter()
        request = current_request() or RequestContext()
        self._following.begin(request, self._subject, len(payload))
        caller = current_caller()
        asked = self._unproven(payload) if caller is None else Asked(caller, self._subject, payload)
        try:
            if self._gate is not None:
                if not isinstance(asked, Asked):
                    raise Unauthenticated("nothing proves who asks")
                self._gate.admit(asked)
            answer = self._respond(payload)
            reply = answer if isinstance(answer, bytes) else await self._in_flight.hold(answer)
        except Exception as cause:  # noqa: BLE001  # it is raised again, as an error of the contract
            error = cause if isinstance(cause, HubError) else self._fault(cause, request)
            sizes = len(payload), 0
            self._done(request, error.code, error.status, perf_counter() - began, sizes, asked, waited=self._patient)
            raise error from (None if error is cause else cause)
        self._done(request, OK, 0, perf_counter() - began, (len(payload), len(reply)), asked, waited=self._patient)
        return reply

    async def _on_stamped(self, message: Msg) -> None:
        """Answer one that the server has stamped, on behalf of whom the stamp names, and refuse any other."""
        raw = message.raw_headers if isinstance(message, DirectMessage) else b""
        try:
            caller, has_more = self._callers.caller(raw)
        except Unauthenticated as error:
            await self._refuse(message, error, None, perf_counter(), self._unproven(message.data))
            return
        asked = Asked(caller, self._subject, message.data)
        plain = not has_more and not self._following.everything
        if plain and self._gate is not None:
            try:
                self._gate.admit(asked)
            except RateLimited as error:
                await self._turn_away(message, error, asked)
                return
            except HubError as error:
                with on_behalf_of(caller):
                    await self._refuse(message, error, None, perf_counter(), asked)
                return
        with on_behalf_of(caller):
            await self._answer(message, message.headers if has_more else None, asked, admitted=plain)

    async def _on_message(self, message: Msg) -> None:
        await self._answer(message, message.headers, self._unproven(message.data))

    def _unproven(self, payload: bytes) -> Unproven | None:
        """What a witness is told of a request that nobody has proven to have made; None where there is no witness."""
        return None if self._witness is None else Unproven(self._subject, payload)

    async def _turn_away(self, message: Msg, error: RateLimited, asked: Asked) -> None:
        """Refuse one of too many in as few steps as can be, since there are more to come.

        What is raised again in the same words is told in the same bytes: those replies have one request id in common.
        """
        if self._turned_away[0] is not error:
            body, headers = fault.encode(error)
            self._turned_away = error, body, {**headers, **RequestContext().reply_headers(failed=True)}
        _, body, headers = self._turned_away
        await self._reply(message.reply, body, headers)
        self._done(None, error.code, error.status, 0.0, (len(message.data), len(body)), asked)

    async def _answer(
        self,
        message: Msg,
        headers: Mapping[str, str] | None,
        asked: Asked | Unproven | None,
        *,
        admitted: bool = False,
    ) -> None:
        began = perf_counter()
        request = self._enter(message, headers) if headers is not None or self._following.everything else None
        try:
            if self._gate is not None and isinstance(asked, Asked) and not admitted:
                self._gate.admit(asked)
            if self._on_headers is not None and headers is not None:
                self._on_headers(message.data, headers)
            answer = self._respond(message.data)
            if not isinstance(answer, bytes):
                self._begin(message, answer, request, began, asked)
                return
        except Exception as error:  # noqa: BLE001  # whatever a message brings about, the next one is served
            await self._refuse(message, error, request, began, asked)
        else:
            await self._reply(message.reply, answer, self._headers if request is None else self._headers_for(request))
            seconds = perf_counter() - began
            if request is None and seconds < self._following.slow:
                self._meter.observe(OK, seconds)  # the short way: tens of thousands a second come here
                if asked is not None and self._witness is not None:
                    self._witness.saw(asked, OK)
            else:
                self._done(request, OK, 0, seconds, (len(message.data), len(answer)), asked)
        finally:
            if request is not None:
                request.leave()

    def _enter(self, message: Msg, headers: Mapping[str, str] | None) -> RequestContext:
        request = RequestContext.from_headers(headers)
        self._following.begin(request, self._subject, len(message.data))
        request.enter()
        return request

    def _begin(
        self,
        message: Msg,
        answer: Coroutine[Any, Any, bytes],
        request: RequestContext | None,
        began: float,
        asked: Asked | Unproven | None,
    ) -> None:
        if request is None:
            with RequestContext() as request:  # of which the task takes its own copy along
                self._begin(message, answer, request, began, asked)
            return
        try:
            self._in_flight.begin(self._finish(message, answer, request, began, asked))
        except Overloaded:
            answer.close()
            raise

    async def _finish(
        self,
        message: Msg,
        answer: Coroutine[Any, Any, bytes],
        request: RequestContext,
        began: float,
        asked: Asked | Unproven | None,
    ) -> None:
        try:
            reply = await answer
        except Exception as error:  # noqa: BLE001  # see above
            await self._refuse(message, error, request, began, asked, waited=self._patient)
        else:
            await self._reply(message.reply, reply, self._headers_for(request))
            sizes = len(message.data), len(reply)
            self._done(request, OK, 0, perf_counter() - began, sizes, asked, waited=self._patient)

    def _headers_for(self, request: RequestContext) -> dict[str, str] | None:
        """The headers of a reply to a request that did not fail."""
        if not (request.named or request.traced):
            return self._headers
        return {**(self._headers or {}), **request.reply_headers()}

    async def _refuse(
        self,
        message: Msg,
        cause: Exception,
        request: RequestContext | None,
        began: float,
        asked: Asked | Unproven | None = None,
        *,
        waited: bool = False,
    ) -> None:
        if request is None:
            with RequestContext() as request:
                await self._refuse(message, cause, request, began, asked)
            return
        error = cause if isinstance(cause, HubError) else self._fault(cause, request)
        body, headers = fault.encode(error)
        await self._reply(message.reply, body, {**headers, **request.reply_headers(failed=True)})
        sizes = len(message.data), len(body)
        self._done(request, error.code, error.status, perf_counter() - began, sizes, asked, waited=waited)
        if not message.reply and (omitted := self._sparing.take()) is not None:
            log.info(
                "message refused", subject=self._subject, code=error.code, reason=error.message, omitted_before=omitted
            )

    def _fault(self, error: Exception, request: RequestContext) -> HubError:
        log.error("request failed by a fault of the hub", subject=self._subject, exc_info=error)
        return InternalError(f"{self._subject}: the hub failed; its log says why, for the request {request.request_id}")

    def _done(
        self,
        request: RequestContext | None,
        outcome: str,
        status: int,
        seconds: float,
        sizes: tuple[int, int],
        asked: Asked | Unproven | None,
        *,
        waited: bool = False,
    ) -> None:
        self._meter.observe(outcome, seconds)
        if asked is not None and self._witness is not None:
            self._witness.saw(asked, outcome)
        if request is not None or seconds >= self._following.slow:
            self._following.end(request, self._subject, outcome, status, seconds, sizes, waited=waited)

    async def _reply(self, inbox: str, payload: bytes, headers: dict[str, str] | None = None) -> None:
        if not inbox:
            return
        if inbox.startswith(_FORBIDDEN_REPLIES):
            if (omitted := self._sparing.take()) is not None:
                log.warning("reply subject refused", subject=self._subject, reply=inbox, omitted_before=omitted)
            return
        try:
            await self._client.publish(inbox, payload, headers=headers)
        except (nats.errors.Error, OSError) as error:
            if (omitted := self._sparing.take()) is not None:
                reason = str(error) or type(error).__name__
                log.warning("reply not sent", subject=self._subject, reason=reason, omitted_before=omitted)
