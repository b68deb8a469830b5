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

from hub.errors import HubError, InternalError, Overloaded
from hub.handlers.inflight import InFlight
from hub.handlers.sparing import Sparing
from hub.telemetry.metrics import RequestMeter
from hub.transport.direct import DirectMessage, subscribe_direct
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


class Endpoint:
    """Answers the requests on one subject.

    What can be answered at once is answered as it is read; what cannot is put in flight, since nothing else is read
    meanwhile.

    Args:
        client: Where to listen and to answer.
        subject: What to listen on.
        respond: What answers.
        in_flight: Where work goes that takes waiting.
        meter: Where to count.
        queue: The queue group through which the replicas share the requests; empty where each of them answers all.
        headers: Headers of the replies, those to refused requests apart.
        on_headers: Told of requests with headers; None where these say nothing.
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
    ) -> None:
        self._client = client
        self._subject = subject
        self._respond = respond
        self._in_flight = in_flight
        self._meter = meter
        self._queue = queue
        self._headers = dict(headers) if headers else None
        self._on_headers = on_headers
        self._sparing = Sparing()
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Begin to answer."""
        self._subscription = await subscribe_direct(self._client, self._subject, self._on_message, queue=self._queue)

    async def drain(self) -> None:
        """Take no more requests, but answer those already received. What is in flight is for its owner to wait for."""
        if self._subscription is not None and self._client.is_connected:
            await self._subscription.drain()  # type: ignore[no-untyped-call]
        self._subscription = None

    async def _on_message(self, message: Msg) -> None:
        began = perf_counter()
        try:
            if self._on_headers is not None and (not isinstance(message, DirectMessage) or message.raw_headers):
                self._on_headers(message.data, message.headers or {})
            answer = self._respond(message.data)
            if not isinstance(answer, bytes):
                self._begin(message, answer, began)
                return
        except HubError as error:
            await self._refuse(message, error, began)
        except Exception as error:  # noqa: BLE001  # whatever a message brings about, the next one is served
            await self._refuse(message, self._fault(error), began)
        else:
            await self._reply(message.reply, answer, self._headers)
            self._meter.observe("ok", perf_counter() - began)

    def _begin(self, message: Msg, answer: Coroutine[Any, Any, bytes], began: float) -> None:
        try:
            self._in_flight.begin(self._finish(message, answer, began))
        except Overloaded:
            answer.close()
            raise

    async def _finish(self, message: Msg, answer: Coroutine[Any, Any, bytes], began: float) -> None:
        try:
            reply = await answer
        except HubError as error:
            await self._refuse(message, error, began)
        except Exception as error:  # noqa: BLE001  # see above
            await self._refuse(message, self._fault(error), began)
        else:
            await self._reply(message.reply, reply, self._headers)
            self._meter.observe("ok", perf_counter() - began)

    def _fault(self, error: Exception) -> HubError:
        log.error("request failed by a fault of the hub", subject=self._subject, exc_info=error)
        return InternalError(f"{self._subject}: the hub failed; its log says why")

    async def _refuse(self, message: Msg, error: HubError, began: float) -> None:
        body, headers = fault.encode(error)
        await self._reply(message.reply, body, headers)
        self._meter.observe(error.code, perf_counter() - began)
        if not message.reply and (omitted := self._sparing.take()) is not None:
            log.info(
                "message refused", subject=self._subject, code=error.code, reason=error.message, omitted_before=omitted
            )

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
