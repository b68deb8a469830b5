"""A bucket in JetStream that keeps what its keys were, and takes many keys in one atomic batch (ADR-50)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec
import nats.errors

from hub.errors import DeadlineExceeded, HubError, PayloadTooLarge, Unavailable, Unsupported
from hub.store.api import BATCH_DISABLED, BATCH_INCOMPLETE, BATCHES_TOO_MANY, PREFIX, PubAck, Refusal
from hub.store.jetstream import JetStreamBucket
from hub.store.ports import Entry, Past
from hub.store.reading import read_entry, read_page
from hub.transport.connection import describe

ATOMIC_SINCE: Final = (2, 12)
"""The first nats-server that takes batches. An older one would store their messages one by one."""

_ENDLESS = 2**63
_EXPECTED = "Nats-Expected-Last-Sequence"
_ack = msgspec.json.Decoder(PubAck)


class JetStreamLedger(JetStreamBucket):
    """The `Ledger` of a real JetStream. Many keys need a stream that is `atomic`."""

    async def commit(self, values: Mapping[str, bytes], *, expected: int) -> int:
        """See `Ledger.commit`. However many keys there are, it is one round trip."""
        if not values:
            raise ValueError("values: expected at least one key")
        if len(values) == 1:
            ((key, value),) = values.items()
            return await self._write(key, value, {_EXPECTED: str(expected)}, expected)
        self._check_atomic()
        self._check_sizes(values)
        try:
            ack = await self._batch(values, expected)
        except (Unavailable, DeadlineExceeded) as error:
            raise self._away("written", error) from None
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"bucket {self._spec.name}: cannot be written ({describe(error)})") from None
        except msgspec.MsgspecError as error:
            raise Unavailable(f"bucket {self._spec.name}: the write was answered with {error}") from None
        if ack.error is not None:
            raise self._not_committed(list(values), expected, ack.error)
        return ack.seq

    async def history(self, key: str, *, before: int = 0, limit: int = 64) -> Past:
        """See `History.history`. In a cluster any replica answers, perhaps a moment behind."""
        newest: deque[Entry] = deque(maxlen=limit)
        found, after, more = 0, 0, 1
        while more and (not before or after < before - 1):
            page = await read_page(self._client, self._spec, key, after=after, timeout=self._timeout)
            fitting = [entry for entry in page.entries if not before or entry.revision < before]
            newest.extend(fitting)
            found += len(fitting)
            if not page.entries:
                break
            after, more = page.entries[-1].revision, page.more
        return Past(list(reversed(newest)), found > limit)

    async def at(self, key: str, revision: int) -> Entry | None:
        """See `History.at`. In a cluster any replica answers, perhaps a moment behind."""
        if not 1 <= revision < _ENDLESS:
            return None
        try:
            reply = await self._requester.request(
                f"{PREFIX}DIRECT.GET.{self._spec.stream}",
                msgspec.json.encode({"seq": revision}),
                timeout=self._timeout,
            )
        except (Unavailable, DeadlineExceeded) as error:
            raise self._away("read", error) from None
        entry = read_entry(self._spec, reply)
        return entry if entry is not None and entry.key == key else None

    def _check_atomic(self) -> None:
        version = self._client.connected_server_version
        if (version.major, version.minor) < ATOMIC_SINCE:
            wanted = ".".join(map(str, ATOMIC_SINCE))
            raise Unsupported(
                f"bucket {self._spec.name}: many keys in one step need nats-server {wanted} or newer, "
                f"this is {version.major}.{version.minor}.{version.patch}"
            )

    def _check_sizes(self, values: Mapping[str, bytes]) -> None:
        """Refuse before the first is sent what would leave a batch without an end on the server."""
        for key, value in values.items():
            if len(value) > self._client.max_payload:
                raise PayloadTooLarge(f"{key}: expected at most {self._client.max_payload} bytes, got {len(value)}")

    async def _batch(self, values: Mapping[str, bytes], expected: int) -> PubAck:
        """Send everything at once: only the last message makes it be, and is answered with what came of it."""
        batch = self._client.new_inbox().rpartition(".")[2]
        headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": "1", _EXPECTED: str(expected)}
        *others, last = values
        for number, key in enumerate(others, start=1):
            await self._client.publish(self._prefix + key, values[key], headers=headers)
            headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number + 1)}
        headers["Nats-Batch-Commit"] = "1"
        reply = await self._requester.request(self._prefix + last, values[last], headers=headers, timeout=self._timeout)
        return _ack.decode(reply.data)

    def _not_committed(self, keys: list[str], expected: int, refusal: Refusal) -> HubError:
        what = f"{len(keys)} keys in one step ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})"
        if refusal.err_code == BATCH_DISABLED:
            return Unsupported(f"bucket {self._spec.name}: does not take {what}: {refusal.description}")
        if refusal.err_code in (BATCH_INCOMPLETE, BATCHES_TOO_MANY):
            return Unavailable(f"bucket {self._spec.name}: has not taken {what}: {refusal.description}")
        return self._refused(what, expected, refusal)
