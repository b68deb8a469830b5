"""A bucket whose writes are seen in traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.store.ports import Bucket, Entry, Listener, Watch

if TYPE_CHECKING:
    from hub.telemetry.tracing import Tracing


class TracedBucket:
    """A `Bucket` with a span around every write that a traced request brings about.

    Args:
        bucket: What does the work.
        name: The bucket's name.
        tracing: What makes the spans.
    """

    def __init__(self, bucket: Bucket, name: str, tracing: Tracing) -> None:
        self._bucket = bucket
        self._tracing = tracing
        self._about = {"db.system.name": "nats", "db.namespace": name}

    async def get(self, key: str) -> Entry | None:
        """See `Bucket.get`."""
        return await self._bucket.get(key)

    async def put(self, key: str, value: bytes, *, expected: int | None = None, ttl: int | None = None) -> int:
        """See `Bucket.put`."""
        with self._tracing.within("store put", {**self._about, "db.operation.name": "put"}):
            return await self._bucket.put(key, value, expected=expected, ttl=ttl)

    async def delete(self, key: str, *, expected: int | None = None) -> int:
        """See `Bucket.delete`."""
        with self._tracing.within("store delete", {**self._about, "db.operation.name": "delete"}):
            return await self._bucket.delete(key, expected=expected)

    def watch(self, listener: Listener) -> Watch:
        """See `Bucket.watch`."""
        return self._bucket.watch(listener)
