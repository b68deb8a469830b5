"""`hub.discover` and `hub.services`: answered from memory, at once unless the caller wants to wait for news."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import msgspec

from hub.core.answers import Answers
from hub.handlers.changes import Changes
from hub.wire.codec import Decoder
from hub.wire.discovery import Discover, Services

_REMEMBERED = 1024
_SHORT = 512
"""Bytes up to which a question is worth remembering."""


class Discovery:
    """Answers who is there. The same bytes are the same question: what they ask is remembered."""

    def __init__(self, answers: Answers, changes: Changes) -> None:
        self._answers = answers
        self._changes = changes
        self._decode_discover = Decoder(Discover)
        self._decode_services = Decoder(Services)
        self._asked: dict[bytes, Discover] = {}

    def discover(self, payload: bytes) -> bytes | Coroutine[Any, Any, bytes]:
        """The encoded `Discovered`; to be awaited where the query asks to wait for a revision not yet reached."""
        query = self._asked.get(payload) or self._understand(payload)
        if query.min_revision or query.wait:
            settled = msgspec.structs.replace(query, min_revision=0, wait=0.0)
            if query.wait and not self._answers.satisfied(query):
                return self._after(query, settled)
            query = settled
        return self._answers.discover(query)

    def target(self, payload: bytes) -> str:
        """The service that a question is about; empty where it is about none in particular."""
        return (self._asked.get(payload) or self._understand(payload)).name

    def services(self, payload: bytes) -> bytes:
        """The encoded `ServiceList`."""
        return self._answers.services(self._decode_services(payload))

    def _understand(self, payload: bytes) -> Discover:
        query = self._decode_discover(payload)
        if len(payload) <= _SHORT:
            if len(self._asked) >= _REMEMBERED:
                self._asked.clear()
            self._asked[payload] = query
        return query

    async def _after(self, query: Discover, settled: Discover) -> bytes:
        """Wait until the answer is as new as wanted, or as long as wanted, and answer with what there is then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(query.wait):
                while not (self._changes.closed or self._answers.satisfied(query)):
                    await self._changes.reached(query.name, query.min_revision)
        return self._answers.discover(settled)
