"""`hub.check.<service>.<instance>`: how checks stand, told by the replica that makes them, and taken in by all."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.core.registry import Registry
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.handlers.sparing import Sparing
from hub.transport.direct import subscribe_direct
from hub.wire import replica, subjects
from hub.wire.checks import CheckState
from hub.wire.codec import Decoder, encode

log = structlog.get_logger(__name__)

Adopt = Callable[[str, Iterable[CheckState]], None]


class Findings:
    """The one way in which what was found reaches the registries of all replicas, this one's included.

    Args:
        client: Where to tell and to hear.
        registry: Told of everything.
        clock: Where to read the time.
        hub_id: This hub.
    """

    def __init__(self, client: Client, registry: Registry, clock: Clock, *, hub_id: str) -> None:
        self._client = client
        self._registry = registry
        self._clock = clock
        self._hub_id = hub_id
        self._decode = Decoder(replica.Findings)
        self._adopt: Adopt | None = None
        self._sparing = Sparing()

    async def start(self, adopt: Adopt) -> None:
        """Begin to hear, for as long as the connection is open; `adopt` is told of what others found."""
        self._adopt = adopt
        await subscribe_direct(self._client, subjects.CHECKS, self._on_findings)

    async def tell(self, key: str, states: Iterable[CheckState]) -> None:
        """Tell everybody how checks of an instance stand. It may get lost; whoever makes the checks tells again."""
        payload = encode(replica.Findings(states=tuple(states), by=self._hub_id))
        try:
            await self._client.publish(subjects.check(key), payload)
        except (nats.errors.Error, OSError) as error:
            log.debug("findings not told", key=key, reason=str(error) or type(error).__name__)

    async def _on_findings(self, message: Msg) -> None:
        try:
            told = self._decode(message.data)
        except HubError as error:
            if (omitted := self._sparing.take()) is not None:
                log.warning(
                    "findings not understood", subject=message.subject, reason=error.message, omitted_before=omitted
                )
            return
        key = message.subject[len(subjects.CHECK_PREFIX) :]
        entry = self._registry.catalog.entries.get(key)
        now = self._clock.now()
        for state in told.states:
            known = entry.checks.get(state.name) if entry is not None else None
            if known is None or known.since <= state.since:  # else it was long under way
                self._registry.checked(key, state, now)
        if told.by != self._hub_id and self._adopt is not None:
            self._adopt(key, told.states)
