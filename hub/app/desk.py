"""Where a hub is asked: its subjects, by NATS or past it, and the end of that, by which all is answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import nats.errors
from nats.aio.client import Client

from hub.errors import HubError, Unauthenticated
from hub.handlers.auditing import Audit
from hub.handlers.changes import Changes
from hub.handlers.endpoint import Endpoint, OnHeaders, Respond
from hub.handlers.following import Following
from hub.handlers.gate import Asked, Gate
from hub.handlers.inflight import InFlight
from hub.telemetry.meter import OK
from hub.telemetry.metrics import Metrics
from hub.telemetry.request import current_caller


class Desk:
    """Answers on subjects.

    Args:
        client: Where to listen.
        metrics: Where to count.
        following: What is to be told of single requests.
        limit: Requests in flight at once.
        gate: What requests pass first; None where nobody proves who asks.

    Attributes:
        in_flight: Requests that wait for the store.
        audit: What is told of requests that change something, where there is no gate to tell it; None until it is set.
        waiting: Requests that wait for news, apart, lest they keep everybody else from being served.
    """

    def __init__(
        self, client: Client, metrics: Metrics, following: Following, limit: int, gate: Gate | None = None
    ) -> None:
        self.in_flight = InFlight(limit)
        self.waiting = InFlight(limit)
        self.following = following
        self.gate = gate
        self.audit: Audit | None = None
        self._client = client
        self._metrics = metrics
        self._endpoints: list[Endpoint] = []
        self._answering: dict[str, Endpoint] = {}

    def __len__(self) -> int:
        """How many requests are in flight."""
        return len(self.in_flight) + len(self.waiting)

    async def answer(
        self, subject: str, respond: Respond, *, may_wait: bool = False, on_headers: OnHeaders | None = None
    ) -> None:
        """Answer a subject, in turn with the other replicas, from now on.

        Args:
            subject: What to answer.
            respond: What answers.
            may_wait: Whether callers may ask to wait for news.
            on_headers: Told of requests with headers.
        """
        endpoint = Endpoint(
            self._client,
            subject,
            respond,
            in_flight=self.waiting if may_wait else self.in_flight,
            meter=self._metrics.requests(subject),
            on_headers=on_headers,
            following=self.following,
            patient=may_wait,
            gate=self.gate,
            witness=self.audit if self.audit is not None and self.audit.wants(subject) else None,
        )
        await self.open((endpoint,))
        self._answering[subject] = endpoint

    async def open(self, endpoints: Iterable[Endpoint]) -> None:
        """Let these answer from now on."""
        for endpoint in endpoints:
            await endpoint.start()
            self._endpoints.append(endpoint)

    async def ask(self, subject: str, payload: bytes) -> bytes:
        """What is answered to a request, by the same rules as on NATS. Raises as the subject refuses."""
        return await self._answering[subject].ask(payload)

    def admit(self, subject: str, payload: bytes) -> None:
        """Let the current caller have what is not answered here, by the rules of what he would ask for it.

        Raises:
            HubError: he is refused.
        """
        if self.gate is None:
            return
        caller = current_caller()
        if caller is None:
            raise Unauthenticated("nothing proves who asks")
        asked = Asked(caller, subject, payload)
        try:
            self.gate.admit(asked)
        except HubError as error:
            self.gate.saw(asked, error.code)
            raise
        self.gate.saw(asked, OK)

    async def drain(self, changes: Changes, within: float) -> None:
        """Answer what has been asked, within so many seconds, and nothing that comes later.

        Args:
            changes: What some of them wait for; once nobody is heard any more, they wait no longer.
            within: Seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        with contextlib.suppress(TimeoutError, nats.errors.Error):
            async with asyncio.timeout_at(deadline):
                await asyncio.gather(*(endpoint.drain() for endpoint in self._endpoints))
        changes.close()
        left = max(0.1, deadline - loop.time())
        await asyncio.gather(self.in_flight.drain(left), self.waiting.drain(left))
