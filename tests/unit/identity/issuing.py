"""An issuer in memory, and what keeps its keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from hub.errors import Unauthenticated, Unavailable
from hub.handlers.clock import Clock
from hub.handlers.jwks import IssuerKeys
from hub.identity.keyset import parsed
from hub.probes.look import Failed
from hub.settings.access import Algorithm
from hub.transport.loops import unheard
from tests.unit.identity.making import ISS, Signer, jwks
from tests.waiting import end

QUICK = 0.01
EPOCH = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)


class Issuing:
    """An issuer in memory: what it publishes, whether it can be reached, and how often it was asked."""

    every = 300.0
    retry = 15.0
    patience = 2
    must_start = False

    def __init__(self, *keys: Signer) -> None:
        self.published = jwks(*keys)
        self.outage = ""
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.now = 1000.0

    async def read(self) -> bytes:
        self.asked += 1
        await self.answers.wait()
        if self.outage:
            raise Failed(self.outage)
        return self.published

    def keys(self, issuer: str = ISS) -> IssuerKeys:
        clock = Clock(now=lambda: self.now, wall=lambda: EPOCH + timedelta(seconds=self.now - 1000))
        return IssuerKeys(issuer, self, parsed, clock)


@asynccontextmanager
async def watched(keys: IssuerKeys) -> AsyncIterator[IssuerKeys]:
    task = asyncio.create_task(keys.watch(unheard))
    try:
        yield keys
    finally:
        await end(task)


async def kid(keys: IssuerKeys, wanted: str, algorithm: Algorithm = "EdDSA") -> str | None:
    return (await keys.find(algorithm, wanted)).kid


async def unknown(keys: IssuerKeys, wanted: str = "unknown") -> str:
    with pytest.raises(Unauthenticated) as caught:
        await keys.find("EdDSA", wanted)
    return caught.value.message


async def unavailable(keys: IssuerKeys, wanted: str = "ed") -> str:
    with pytest.raises(Unavailable) as caught:
        await keys.find("EdDSA", wanted)
    return caught.value.message
