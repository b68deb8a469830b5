"""A bucket in JetStream, spoken to directly: one request a write, one direct get a read."""

from __future__ import annotations

from typing import Final

import msgspec
from nats.aio.client import Client

from hub.errors import DeadlineExceeded, HubError, Unavailable
from hub.store.api import PREFIX, WRONG_LAST_SEQUENCE, JetStreamApi, PubAck, Refusal, refused
from hub.store.ports import Entry, Listener, RevisionConflict
from hub.store.reading import read_entry
from hub.store.streams import BucketSpec, ensure
from hub.store.watcher import DEFAULT_PACE, KeyWatch, Pace
from hub.transport.loops import Keep, alone
from hub.transport.requests import DEFAULT_TIMEOUT, Requester

DELETION_TTL: Final = 600
"""Seconds that the marker of a deleted key stays."""

_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_ack = msgspec.json.Decoder(PubAck)


class JetStreamBucket:
    """The `Bucket` of a real JetStream. The stream beneath must exist (see `streams.ensure`).

    Args:
        client: The connection, for watches.
        requester: An open requester on it.
        spec: Which bucket; a watch that finds it gone creates it again.
        timeout: Seconds that a read or a write may take.
        pace: How watches keep time.
        keep: What runs them.
    """

    def __init__(
        self,
        client: Client,
        requester: Requester,
        spec: BucketSpec,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        pace: Pace = DEFAULT_PACE,
        keep: Keep = alone,
    ) -> None:
        self._client = client
        self._requester = requester
        self._spec = spec
        self._timeout = timeout
        self._pace = pace
        self._keep = keep
        self._prefix = spec.prefix
        self._direct = f"{PREFIX}DIRECT.GET.{spec.stream}.{spec.prefix}"

    async def get(self, key: str) -> Entry | None:
        """See `Bucket.get`. In a cluster any replica answers, perhaps a moment behind."""
        try:
            reply = await self._requester.request(self._direct + key, timeout=self._timeout)
        except (Unavailable, DeadlineExceeded) as error:
            raise self._away("read", error) from None
        return read_entry(self._spec, reply)

    async def put(self, key: str, value: bytes, *, expected: int | None = None, ttl: int | None = None) -> int:
        """See `Bucket.put`."""
        headers: dict[str, str] | None = None
        if expected is not None:
            headers = {_EXPECTED: str(expected)}
        if ttl is not None:
            if ttl < 1:
                raise ValueError(f"ttl: expected whole seconds of at least 1, got {ttl}")
            headers = headers or {}
            headers["Nats-TTL"] = str(ttl)
        return await self._write(key, value, headers, expected)

    async def delete(self, key: str, *, expected: int | None = None) -> int:
        """See `Bucket.delete`. The marker goes by itself after ten minutes."""
        headers = {"KV-Operation": "PURGE", "Nats-Rollup": "sub", "Nats-TTL": str(DELETION_TTL)}
        if expected is not None:
            headers[_EXPECTED] = str(expected)
        return await self._write(key, b"", headers, expected)

    def watch(self, listener: Listener) -> KeyWatch:
        """See `Bucket.watch`; entering it raises `Unavailable` when the store cannot be read in time."""
        return KeyWatch(
            self._client,
            JetStreamApi(self._requester, timeout=self._timeout),
            self._spec,
            listener,
            restore=self._restore,
            pace=self._pace,
            keep=self._keep,
        )

    async def _restore(self) -> None:
        await ensure(self._requester, self._spec, patience=0)

    async def _write(self, key: str, value: bytes, headers: dict[str, str] | None, expected: int | None) -> int:
        try:
            reply = await self._requester.request(self._prefix + key, value, headers=headers, timeout=self._timeout)
            ack = _ack.decode(reply.data)
        except (Unavailable, DeadlineExceeded) as error:
            raise self._away("written", error) from None
        except msgspec.MsgspecError as error:
            raise Unavailable(f"bucket {self._spec.name}: the write was answered with {error}") from None
        if ack.error is None:
            return ack.seq
        raise self._refused(key, expected, ack.error)

    def _refused(self, key: str, expected: int | None, refusal: Refusal) -> HubError:
        if refusal.err_code in WRONG_LAST_SEQUENCE:
            return RevisionConflict(
                f"{key}: expected revision {expected} in the bucket {self._spec.name}, {refusal.description}"
            )
        return refused(f"writing {key} to the bucket {self._spec.name}", refusal)

    def _away(self, verb: str, error: Unavailable | DeadlineExceeded) -> Unavailable | DeadlineExceeded:
        where = f"bucket {self._spec.name}"
        if isinstance(error, DeadlineExceeded):
            return DeadlineExceeded(f"{where}: could not be {verb} within {self._timeout:g} s")
        if not self._client.is_connected:
            return Unavailable(f"{where}: cannot be {verb}, NATS is away")
        return Unavailable(f"{where}: cannot be {verb} (it is missing, or JetStream is off)")
