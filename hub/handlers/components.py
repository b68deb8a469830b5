"""`hub.components.*`: which version of the components is the newest, what is in it, and making another one that."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from random import uniform
from typing import Any, Final, NamedTuple

import msgspec

from hub.core.components import UNBOUNDED, Bounds, check, decoded_tree, described, needed
from hub.core.happenings import published
from hub.errors import Conflict, HubError, InvalidRequest, NotFound, PayloadTooLarge, Unavailable
from hub.handlers.clock import Clock
from hub.handlers.endpoint import Respond
from hub.handlers.proven import Signed
from hub.store.events import EventLog
from hub.store.objects import ObjectStore
from hub.store.ports import Entry, Ledger, RevisionConflict
from hub.wire import components as wire
from hub.wire import subjects
from hub.wire.codec import Decoder, encode

_ATTEMPTS: Final = 12
_BACK_OFF: Final = 0.05
"""Seconds, times the attempt, within which those who lost against each other try again."""
_TREES_KEPT: Final = 4
"""Trees that are kept decoded: the largest takes some megabytes."""
_SHOWN: Final = 5
_ROOM: Final = 512
"""Bytes of a reply that are left for what follows its list."""

Files = tuple[wire.ComponentFile, ...]


class Newest(NamedTuple):
    """The newest version."""

    revision: int = 0
    """0 where nothing was ever published."""
    record: wire.ComponentsRecord | None = None
    stored: int = 0
    """The revision that a compare-and-set has to expect, which is that of a deletion where one came last."""


class _Draft(NamedTuple):
    """What the next version is to be."""

    kind: wire.ComponentsKind
    tree: str
    author: str
    reason: str
    folder: str | None = None
    """What the folder says; None where it was not asked."""
    target: int = 0


class Components:
    """Answers what is published, and publishes what is whole.

    A version is published only if all that it names is in the object store, and only upon the version that this was
    decided upon: of two writers one wins, and the other is decided anew, or told.

    Args:
        ledger: Where the versions are.
        objects: Where their files are.
        events: Where to tell of new versions.
        clock: Where to read the time.
        bounds: How large a version may be.
        max_bytes: The largest reply.

    Attributes:
        subjects: What it answers, and how.
        known: The newest version that this hub has heard of.
        lacking: How many contents of the newest version were found missing.
    """

    def __init__(
        self,
        ledger: Ledger,
        objects: ObjectStore,
        events: EventLog,
        clock: Clock,
        *,
        bounds: Bounds,
        max_bytes: int,
    ) -> None:
        self._ledger = ledger
        self._objects = objects
        self._events = events
        self._clock = clock
        self._bounds = bounds
        self._max_bytes = max_bytes
        self._trees: OrderedDict[str, Files] = OrderedDict()
        self._decode_get = Decoder(wire.GetComponents)
        self._decode_history = Decoder(wire.ComponentsHistoryQuery)
        self._decode_publish = Signed(wire.PublishComponents)
        self._decode_rollback = Signed(wire.RollbackComponents)
        self._decode_record = msgspec.json.Decoder(wire.ComponentsRecord).decode
        self.known = Newest()
        self.lacking = 0
        self.subjects: dict[str, Respond] = {
            subjects.COMPONENTS_GET: self.get,
            subjects.COMPONENTS_HISTORY: self.history,
            subjects.COMPONENTS_PUBLISH: self.publish,
            subjects.COMPONENTS_ROLLBACK: self.rollback,
        }

    # --- for the hub

    def learn(self, record: wire.ComponentsRecord | None, revision: int) -> None:
        """There is a newer version, or none any more."""
        self.known = Newest(revision if record is not None else 0, record, revision)

    async def newest(self) -> Newest:
        """The newest version, from the store.

        Raises:
            Unavailable, DeadlineExceeded: it cannot be read.
        """
        entry = await self._ledger.get(subjects.MANIFESTS_KEY)
        if entry is None:
            return Newest()
        record = self._record(entry)
        return Newest(entry.revision if record is not None else 0, record, entry.revision)

    async def files(self, tree: str, bounds: Bounds = UNBOUNDED) -> Files:
        """The files of a tree.

        Raises:
            NotFound: it is not in the object store.
            InvalidRequest, PayloadTooLarge: a version cannot have such files.
            Unavailable, DeadlineExceeded: it cannot be read.
        """
        known = self._trees.get(tree)
        if known is None:
            content = await self._objects.read(tree, largest=wire.MAX_TREE)
            known = await asyncio.to_thread(decoded_tree, content, bounds)
            self._trees[tree] = known
            if len(self._trees) > _TREES_KEPT:
                self._trees.popitem(last=False)
        else:
            check(known, bounds)
            self._trees.move_to_end(tree)
        return known

    async def kept(self) -> list[wire.ComponentsRecord]:
        """Every version that is kept, newest first."""
        past = await self._ledger.history(subjects.MANIFESTS_KEY, limit=wire.HISTORY)
        return [record for entry in past.entries if (record := self._record(entry)) is not None]

    async def take_folder(self, tree: str) -> wire.ComponentsPublished:
        """Publish what the folder has; all of it is in the object store. Raises as `publish` refuses."""
        return await self._change(_Draft("folder", tree, "files", "the folder has changed", folder=tree), None)

    # --- reading

    def get(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `Components`."""
        return self._get(self._decode_get(payload))

    def history(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ComponentsHistory`."""
        return self._history(self._decode_history(payload))

    async def _get(self, query: wire.GetComponents) -> bytes:
        newest = await (self._at(query.revision) if query.revision else self.newest())
        if newest.record is None:
            return encode(wire.Components(revision=0, files=(), count=0, bytes=0, tree=""))
        record = newest.record
        files = tuple(file for file in await self.files(record.tree) if file.path > query.after)
        answer = wire.Components(
            revision=newest.revision,
            files=(),
            count=record.files,
            bytes=record.bytes,
            tree=record.tree,
            kind=record.kind,
            author=record.author,
            reason=record.reason,
            at=record.at,
            changed=record.changed,
        )
        room = self._max_bytes - len(encode(answer)) - _ROOM
        fitting = _fitting(files, room - wire.MAX_PATH * 2, query.limit or len(files))
        cut = files[fitting - 1].path if 0 < fitting < len(files) else None
        if fitting == 0 and files:
            raise PayloadTooLarge(f"reply: expected room for one file in {self._max_bytes} bytes")
        return encode(msgspec.structs.replace(answer, files=files[:fitting], next=cut))

    async def _history(self, query: wire.ComponentsHistoryQuery) -> bytes:
        limit = query.limit or wire.HISTORY
        past = await self._ledger.history(subjects.MANIFESTS_KEY, before=query.before, limit=limit)
        versions = [_version(e.revision, record) for e in past.entries if (record := self._record(e)) is not None]
        fitting = _fitting(versions, self._max_bytes - _ROOM, len(versions))
        cut = fitting < len(versions) or past.more
        following = versions[fitting - 1].revision if cut and fitting else None
        return encode(wire.ComponentsHistory(versions=tuple(versions[:fitting]), next=following))

    async def _at(self, revision: int) -> Newest:
        entry = await self._ledger.at(subjects.MANIFESTS_KEY, revision)
        record = self._record(entry) if entry is not None else None
        if record is None:
            raise NotFound(
                f"revision: expected one of the {wire.HISTORY} that are kept, {revision} is none of them; "
                "hub.components.history lists them",
                field="revision",
            )
        return Newest(revision, record, revision)

    def _record(self, entry: Entry) -> wire.ComponentsRecord | None:
        if entry.value is None:
            return None
        try:
            return self._decode_record(entry.value)
        except msgspec.MsgspecError as error:
            raise HubError(
                f"components: what is stored at revision {entry.revision} is not understood ({error})"
            ) from None

    # --- changing

    def publish(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ComponentsPublished`, once it is stored."""
        return self._publish(self._decode_publish(payload))

    def rollback(self, payload: bytes) -> Coroutine[Any, Any, bytes]:
        """The encoded `ComponentsPublished`, once it is stored."""
        return self._rollback(self._decode_rollback(payload))

    async def _publish(self, request: wire.PublishComponents) -> bytes:
        draft = _Draft("publish", request.tree, request.author, request.reason)
        return encode(await self._change(draft, request.revision))

    async def _rollback(self, request: wire.RollbackComponents) -> bytes:
        try:
            earlier = (await self._at(request.target)).record
        except NotFound as error:
            raise NotFound(error.message.replace("revision:", "target:", 1), field="target") from None
        assert earlier is not None
        draft = _Draft("rollback", earlier.tree, request.author, request.reason, target=request.target)
        return encode(await self._change(draft, request.revision))

    async def _change(self, draft: _Draft, expected: int | None) -> wire.ComponentsPublished:
        for attempt in range(_ATTEMPTS):
            newest = await self.newest()
            if expected is not None and expected != newest.revision:
                raise Conflict(
                    f"revision: expected {expected} to be the newest, it is {newest.revision}", field="revision"
                )
            done = await self._try(draft, newest)
            if done is not None:
                return done
            await asyncio.sleep(uniform(0, _BACK_OFF * (attempt + 1)))
        raise Unavailable("components: others keep publishing; try again")

    async def _try(self, draft: _Draft, newest: Newest) -> wire.ComponentsPublished | None:
        """Publish upon this version; None where it is not the newest any more."""
        before = newest.record
        files = await self._whole(draft)
        present = await self.files(before.tree) if before is not None else ()
        count, size, changed = described(files, present)
        folder = draft.folder if draft.folder is not None else before.folder if before is not None else ""
        if before is not None and before.tree == draft.tree and before.folder == folder:
            return wire.ComponentsPublished(revision=newest.revision, files=count, bytes=size, changed=())
        inventory = await self._objects.inventory()
        if lacking := inventory.missing(needed(files, draft.tree)):
            raise _lacking(lacking, files)
        held = needed(present, before.tree) if before is not None else set()
        if not await self._objects.renew(needed(files, draft.tree) - held, inventory):
            return None
        record = wire.ComponentsRecord(
            kind=draft.kind,
            at=self._clock.wall(),
            tree=draft.tree,
            files=count,
            bytes=size,
            folder=folder,
            target=draft.target,
            author=draft.author,
            reason=draft.reason,
            changed=changed,
        )
        try:
            revision = await self._ledger.put(subjects.MANIFESTS_KEY, encode(record), expected=newest.stored)
        except RevisionConflict:
            return None
        self._events.append(published(record, revision))
        return wire.ComponentsPublished(revision=revision, files=count, bytes=size, changed=changed)

    async def _whole(self, draft: _Draft) -> Files:
        """The files of a draft, which a version may have: what was published once, may be whatever the bounds are."""
        try:
            return await self.files(draft.tree, UNBOUNDED if draft.kind == "rollback" else self._bounds)
        except NotFound:
            raise InvalidRequest(
                f"tree: expected the name of a list of files in the object store {subjects.COMPONENTS_STORE}, "
                f"got {draft.tree}, which is not there",
                field="tree",
            ) from None


def _lacking(names: list[str], files: Files) -> InvalidRequest:
    paths = {file.sha256: file.path for file in files}
    some = ", ".join(paths.get(name, name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return InvalidRequest(
        f"tree: expected all its contents in the object store, missing are {some}{more}", field="tree"
    )


def _fitting(items: Files | list[wire.ComponentsVersion], room: int, limit: int) -> int:
    """How many of these go into so many bytes."""
    count = 0
    for item in items[:limit]:
        room -= len(encode(item)) + 1
        if room < 0:
            break
        count += 1
    return count


def _version(revision: int, record: wire.ComponentsRecord) -> wire.ComponentsVersion:
    return wire.ComponentsVersion(
        revision=revision,
        kind=record.kind,
        at=record.at,
        author=record.author,
        reason=record.reason,
        tree=record.tree,
        files=record.files,
        bytes=record.bytes,
        target=record.target,
        changed=record.changed,
    )
