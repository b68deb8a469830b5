"""Both adapters behind one fixture."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from hub.store.ledger import JetStreamLedger
from hub.store.memory import MemoryBucket, MemoryLedger
from hub.store.ports import Bucket, Ledger
from hub.store.streams import BucketSpec, ensure
from hub.store.watcher import DEFAULT_PACE
from tests.servers import NatsServer
from tests.store.stores import open_store


@pytest.fixture
def spec() -> BucketSpec:
    """A bucket that no other test uses."""
    return BucketSpec(f"test-{uuid.uuid4().hex[:12]}")


@pytest.fixture(params=["jetstream", "memory"])
async def bucket(request: pytest.FixtureRequest, shared_nats: NatsServer, spec: BucketSpec) -> AsyncIterator[Bucket]:
    """An empty bucket, once of each kind."""
    if request.param == "memory":
        yield MemoryBucket()
        return
    async with open_store(shared_nats.url, spec, pace=DEFAULT_PACE) as store:
        await ensure(store.requester, spec)
        yield store.bucket


@pytest.fixture(params=["jetstream", "memory"])
async def ledger(request: pytest.FixtureRequest, shared_nats: NatsServer, spec: BucketSpec) -> AsyncIterator[Ledger]:
    """An empty ledger that keeps five entries of a key, once of each kind."""
    if request.param == "memory":
        yield MemoryLedger(history=5)
        return
    spec = replace(spec, history=5, atomic=True)
    async with open_store(shared_nats.url, spec, pace=DEFAULT_PACE) as store:
        await ensure(store.requester, spec)
        yield JetStreamLedger(store.client, store.requester, spec)
