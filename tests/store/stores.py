"""What store tests share: an open connection, a listener that records, and what is really stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from nats.aio.client import Client

from hub.errors import HubError
from hub.store.jetstream import JetStreamBucket
from hub.store.streams import BucketSpec
from hub.store.watcher import KeyWatch, Pace
from hub.transport.connection import connect
from hub.transport.requests import Requester
from tests.waiting import PATIENCE

BRISK = Pace(heartbeat=0.2, check=0.4, resync=300.0)
"""Sooner than in production, except for the scheduled reading, which must not hide what the others miss."""


@dataclass(slots=True)
class Recorder:
    """A listener that knows what a catalog would know, and what it was told on the way."""

    state: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    history: list[tuple[str, str, int]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    synced: list[int] = field(default_factory=list)
    resets: int = 0
    violations: list[str] = field(default_factory=list)

    def on_put(self, key: str, value: bytes, revision: int) -> None:
        if revision < self.state.get(key, (b"", 0))[1]:
            self.violations.append(f"{key}: told of revision {revision} after a newer one")
        self.state[key] = (value, revision)
        self.history.append(("put", key, revision))

    def on_delete(self, key: str, revision: int) -> None:
        self.state.pop(key, None)
        self.history.append(("delete", key, revision))

    def on_reset(self) -> None:
        self.resets += 1
        self.state = {key: (value, 0) for key, (value, _) in self.state.items()}

    def on_synced(self, revision: int) -> None:
        self.synced.append(revision)

    def on_lost(self, reason: str) -> None:
        if len(self.lost) > len(self.synced):
            self.violations.append("told of a loss twice without being synced in between")
        self.lost.append(reason)


@dataclass(slots=True)
class Store:
    """A bucket on a connection of its own."""

    client: Client
    requester: Requester
    spec: BucketSpec
    bucket: JetStreamBucket

    async def api(self, verb: str, body: dict[str, object] | None = None) -> dict[str, object]:
        """Ask JetStream's own API."""
        payload = b"" if body is None else json.dumps(body).encode()
        reply = await self.requester.request(f"$JS.API.{verb}", payload, timeout=5)
        answer: dict[str, object] = json.loads(reply.data)
        assert "error" not in answer, answer
        return answer

    async def contents(self) -> dict[str, tuple[bytes, int]]:
        """Every key that has a value, as direct reads tell: value and revision."""
        answer = await self.api(f"STREAM.INFO.{self.spec.stream}", {"subjects_filter": f"{self.spec.prefix}>"})
        state = answer["state"]
        assert isinstance(state, dict)
        found: dict[str, tuple[bytes, int]] = {}
        for subject in state.get("subjects") or {}:
            entry = await self.bucket.get(subject.removeprefix(self.spec.prefix))
            if entry is not None and entry.value is not None:
                found[entry.key] = (entry.value, entry.revision)
        return found

    async def put(self, key: str, value: bytes) -> int:
        """Write as often as it takes: the store may be away for a while."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                return await self.bucket.put(key, value)
            except HubError:
                assert asyncio.get_running_loop().time() < deadline, f"{key} could not be written"
                await asyncio.sleep(0.05)


@asynccontextmanager
async def open_store(url: str, spec: BucketSpec, *, pace: Pace = BRISK) -> AsyncIterator[Store]:
    """Connect, and use a bucket that may not exist yet."""
    client = await connect(url, name="store-test")
    try:
        async with Requester(client) as requester:
            yield Store(client, requester, spec, JetStreamBucket(client, requester, spec, pace=pace))
    finally:
        await client.close()


async def agreement(watch: KeyWatch, recorder: Recorder, store: Store) -> None:
    """Return once the listener knows exactly what is stored; fail when that does not come to pass."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    stored: dict[str, tuple[bytes, int]] | None = None
    while True:
        assert not recorder.violations, recorder.violations
        with suppress(HubError):  # the store may still be away
            stored = await store.contents()
            if watch.synced and recorder.state == stored == await store.contents():
                return
        assert loop.time() < deadline, f"told {recorder.state}, stored {stored}, {recorder.lost}, {watch.rereads}"
        await asyncio.sleep(0.05)
