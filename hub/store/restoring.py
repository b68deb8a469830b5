"""Puts a backup back into its buckets, so that their readers see it as one more change and not as a history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import msgspec
from nats.aio.client import Client

from hub.errors import Conflict, Unavailable
from hub.store.api import JetStreamApi
from hub.store.backup import BUCKETS, Backup, Progress
from hub.store.jetstream import JetStreamBucket
from hub.store.ledger import JetStreamLedger
from hub.store.ports import RevisionConflict
from hub.store.reading import read_page
from hub.store.streams import ACCESS, CONFIG, DESIRED, SECRETS, BucketSpec, ensure
from hub.transport.requests import Requester
from hub.wire.codec import encode
from hub.wire.config import ConfigRecord

TIMEOUT: Final = 10.0
_AT_ONCE: Final = 500
"""Keys in one step; NATS takes up to 1,000."""
_TRIES: Final = 10


class Restoration:
    """One backup on its way back.

    Args:
        client: The connection.
        requester: An open requester on it.
        backup: What to put back; it has been verified.
        progress: Told of every entry written.
    """

    def __init__(self, client: Client, requester: Requester, backup: Backup, progress: Progress) -> None:
        self._client = client
        self._requester = requester
        self._api = JetStreamApi(requester, timeout=TIMEOUT)
        self._backup = backup
        self._progress = progress

    async def run(self, *, force: bool = False) -> None:
        """Write everything. Buckets that are missing are made.

        The newest entries of the configuration are written last, many in one step, and only they are republished.
        A canary among them begins anew.
        Revisions go on where they stood, so that whoever runs with an old one is not taken for up to date.

        Args:
            force: Whether to write over what is there; keys that the backup does not have stay.

        Raises:
            Conflict: a bucket has something in it; nothing was written.
            Unavailable, DeadlineExceeded, StartupError: the store does not do it. It can be run again with `force`.
        """
        for spec in BUCKETS:
            await ensure(self._requester, spec)
        empty = {spec.name: await self._is_empty(spec) for spec in BUCKETS}
        for spec in BUCKETS:
            if spec.name in self._backup.newest and not empty[spec.name] and not force:
                raise Conflict(f"bucket {spec.name}: is not empty; nothing was restored. --force writes over it")
        for spec in BUCKETS:
            if empty[spec.name]:
                await self._go_on(spec)
        await ensure(self._requester, replace(CONFIG, republish_prefix=None))
        try:
            await self._write_history()
        finally:
            await ensure(self._requester, CONFIG)
        await self._write_single(SECRETS)
        await self._write_single(ACCESS)
        await self._write_newest()
        await self._write_single(DESIRED)

    async def _is_empty(self, spec: BucketSpec) -> bool:
        after, more = 0, 1
        while more:
            page = await read_page(self._client, spec, ">", after=after, timeout=TIMEOUT)
            if any(entry.value is not None for entry in page.entries):
                return False
            if not page.entries:
                break
            after, more = page.entries[-1].revision, page.more
        return True

    async def _go_on(self, spec: BucketSpec) -> None:
        """Let the next revision of an empty bucket be higher than any in the backup."""
        highest = max(self._backup.newest.get(spec.name, {}).values(), default=0)
        if (await self._api.stream(spec.stream)).state.last_seq < highest:
            await self._api.purge(spec.stream, highest + 1)

    async def _write_history(self) -> None:
        bucket = JetStreamBucket(self._client, self._requester, CONFIG, timeout=TIMEOUT)
        newest = self._backup.newest[CONFIG.name]
        for entry in self._backup.entries(CONFIG):
            if entry.value is not None and entry.revision != newest[entry.key]:
                await bucket.put(entry.key, entry.value)
                self._progress(1)

    async def _write_newest(self) -> None:
        ledger = JetStreamLedger(self._client, self._requester, CONFIG, timeout=TIMEOUT)
        newest = self._backup.newest[CONFIG.name]
        last = (e for e in self._backup.entries(CONFIG) if e.value is not None and e.revision == newest[e.key])
        now = datetime.now(UTC)
        while values := {entry.key: _tried_anew(entry.value or b"", now) for entry in islice(last, _AT_ONCE)}:
            await self._commit(ledger, values)
            self._progress(len(values))

    async def _commit(self, ledger: JetStreamLedger, values: dict[str, bytes]) -> None:
        for _ in range(_TRIES):
            expected = (await self._api.stream(CONFIG.stream)).state.last_seq
            try:
                await ledger.commit(values, expected=expected)
                return
            except RevisionConflict:
                continue
        raise Unavailable(f"bucket {CONFIG.name}: others write to it without end; stop them, and restore with --force")

    async def _write_single(self, spec: BucketSpec) -> None:
        """Write a bucket that keeps no history. Secrets come before the configuration that refers to them."""
        bucket = JetStreamBucket(self._client, self._requester, spec, timeout=TIMEOUT)
        for entry in self._backup.entries(spec):
            if entry.value is not None:
                await bucket.put(entry.key, entry.value)
                self._progress(1)


def _tried_anew(value: bytes, now: datetime) -> bytes:
    """The record of a configuration; where it has a canary, one that begins now: nobody has run with it since."""
    try:
        record = msgspec.json.decode(value, type=ConfigRecord)
    except (msgspec.MsgspecError, RecursionError):
        return value  # a hub will say what is wrong with it
    if record.canary is None:
        return value
    return encode(msgspec.structs.replace(record, canary=msgspec.structs.replace(record.canary, since=now)))
