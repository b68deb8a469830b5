"""What the configuration was: its history, and in what two revisions differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import msgspec

from hub.core.canary import compared
from hub.core.configs import Configs
from hub.core.drafts import own_values
from hub.core.layers import differences
from hub.errors import NotFound, PayloadTooLarge, Unavailable
from hub.store.ports import Bucket, Entry, History
from hub.wire import config
from hub.wire.codec import encode

_decode_record = msgspec.json.Decoder(config.ConfigRecord).decode


class ConfigPast:
    """Answers from the store.

    Args:
        configs: What is known.
        bucket: Where it is stored.
        history: What it was, as far back as that can be told.
        max_bytes: The largest list in a reply.
    """

    def __init__(self, configs: Configs, bucket: Bucket, history: History, *, max_bytes: int) -> None:
        self._configs = configs
        self._bucket = bucket
        self._history = history
        self._max_bytes = max_bytes

    async def history(self, query: config.ConfigHistoryQuery) -> bytes:
        """The encoded `ConfigHistory`: as many as fit into a reply."""
        past = await self._history.history(query.service, before=query.before, limit=query.limit or config.HISTORY)
        revisions = list(self._revisions(past.entries))
        following = past.entries[-1].revision if past.more and past.entries else None
        while True:
            answer = config.ConfigHistory(
                service=query.service, revisions=tuple(revisions), next=following, complete=past.complete
            )
            encoded = encode(answer)
            if len(encoded) <= self._max_bytes or len(revisions) < 2:
                return fitting(encoded, self._max_bytes)
            revisions = revisions[: len(revisions) // 2]
            following = revisions[-1].revision

    def _revisions(self, entries: Iterable[Entry]) -> Iterator[config.ConfigRevision]:
        """Without deletions, and without what others than a hub have written."""
        for entry in entries:
            if entry.value is not None:
                with suppress(msgspec.MsgspecError):
                    yield _revision(entry, _record(entry))

    async def diff(self, query: config.ConfigDiffQuery) -> bytes:
        """The encoded `ConfigDiff`."""
        target = query.target or await self.newest(query.service)
        after = await self.at(query.service, target)
        base = query.base
        if not base:
            earlier = await self._history.history(query.service, before=target, limit=1)
            if not earlier.entries and not earlier.complete:
                raise Unavailable(f"{query.service}: what was before revision {target} cannot be read now; try again")
            base = earlier.entries[0].revision if earlier.entries else 0
        before, after = compared(await self.at(query.service, base) if base else None, after)
        found = differences(own_values(before), own_values(after))
        answer = config.ConfigDiff(service=query.service, base=base, target=target, differences=found)
        return fitting(encode(answer), self._max_bytes)

    async def newest(self, scope: str) -> int:
        """The newest revision of a scope, as far as this hub has heard; where it has heard of none, from the store.

        Raises:
            NotFound: nothing was ever stored of it.
        """
        known = self._configs.own(scope)
        if known is not None:
            return known.revision
        stored = await self._bucket.get(scope)
        if stored is None or stored.value is None:
            raise NotFound(f"service: nothing was ever put for {scope!r}", field="service")
        return stored.revision

    async def at(self, scope: str, revision: int) -> config.ConfigRecord:
        """What a scope was at a revision.

        Raises:
            NotFound: it was nothing then, or that is not kept.
        """
        entry = await self._history.at(scope, revision)
        if entry is None or entry.value is None:
            raise NotFound(
                f"{scope}: expected one of its revisions that are kept, {revision} is none of them; "
                "hub.config.history lists them",
                field="target",
            )
        return _record(entry)


def fitting(encoded: bytes, max_bytes: int) -> bytes:
    """A reply that is not too large.

    Raises:
        PayloadTooLarge: it is.
    """
    if len(encoded) > max_bytes:
        raise PayloadTooLarge(f"reply: expected at most {max_bytes} bytes, as NATS takes them here, got {len(encoded)}")
    return encoded


def _record(entry: Entry) -> config.ConfigRecord:
    assert entry.value is not None
    return _decode_record(entry.value)


def _revision(entry: Entry, record: config.ConfigRecord) -> config.ConfigRevision:
    return config.ConfigRevision(
        revision=entry.revision,
        kind=record.kind,
        at=record.at,
        author=record.author,
        reason=record.reason,
        changed=record.changed,
    )
