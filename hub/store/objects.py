"""The object store of the components (ADR-20): what is in it, putting contents in, taking unused ones out.

Contents go under their SHA-256 and are put in once: the chunks first, then, if nobody else has put the same one in
meanwhile, the message that tells of it. The library's `ObjectStore.put` would replace what others have just put in, and
take the chunks away from under whoever reads them.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.errors import Conflict, HubError, Unavailable
from hub.store.api import WRONG_LAST_SEQUENCE, JetStreamApi, PubAck, refused
from hub.store.ports import RevisionConflict
from hub.store.reading import read_page
from hub.store.streams import COMPONENTS
from hub.transport import blobs
from hub.transport.blobs import Blob, ObjectInfo
from hub.transport.requests import Requester
from hub.wire.codec import encode

TIMEOUT: Final = 10.0
"""Seconds that one write, or one page of a list, may take."""
_AT_ONCE: Final = 4
"""Chunks on their way: half a megabyte."""
_RENEWED_AT_ONCE: Final = 16
_ROOM: Final = 1024
"""Bytes of a message that are not its payload."""
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"

_ack = msgspec.json.Decoder(PubAck)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the store has.

    Attributes:
        blobs: The contents, by name.
        deleted: Where the marker of a deleted one is, by name.
        chunks: How many chunks there are on each nuid, told of or not.
    """

    blobs: dict[str, Blob]
    deleted: dict[str, int]
    chunks: dict[str, int]

    def whole(self, sha256: str) -> bool:
        """Whether there is such a content with all its chunks."""
        blob = self.blobs.get(sha256)
        return blob is not None and self.chunks.get(blob.info.nuid, 0) == blob.info.chunks

    def missing(self, names: Collection[str]) -> list[str]:
        """Those that are not there whole, in order."""
        return sorted(name for name in names if not self.whole(name))

    def strays(self) -> dict[str, int]:
        """Chunks that nothing tells of, by nuid: of uploads that are on their way, or were given up."""
        told = {blob.info.nuid for blob in self.blobs.values()}
        return {nuid: count for nuid, count in self.chunks.items() if nuid not in told}


class ObjectStore:
    """The contents of the components.

    Args:
        client: The connection, for lists.
        requester: An open requester on it.
    """

    def __init__(self, client: Client, requester: Requester) -> None:
        self._client = client
        self._requester = requester
        self._api = JetStreamApi(requester, timeout=TIMEOUT)

    async def inventory(self) -> Inventory:
        """All that there is. Two walks: of what is told of, then of the chunks.

        Raises:
            Unavailable, DeadlineExceeded, StreamMissing: the store cannot be read.
        """
        found: dict[str, Blob] = {}
        deleted: dict[str, int] = {}
        after, more = 0, 1
        while more:
            page = await read_page(self._client, COMPONENTS, ">", after=after, timeout=TIMEOUT)
            if not page.entries:
                break
            for entry in page.entries:
                info = _info(entry.value)
                if info is None:
                    continue
                (found if info.deleted else deleted).pop(info.name, None)
                if info.deleted:
                    deleted[info.name] = entry.revision
                else:
                    found[info.name] = Blob(info, entry.revision)
            after, more = page.entries[-1].revision, page.more
        counts = await self._api.subjects(COMPONENTS.stream, f"{blobs.CHUNK_PREFIX}>")
        return Inventory(found, deleted, {subject.removeprefix(blobs.CHUNK_PREFIX): n for subject, n in counts.items()})

    async def read(self, sha256: str, *, largest: int) -> bytes:
        """All of a small content. Raises as `blobs.chunks`."""
        return await blobs.read(self._requester, sha256, largest=largest)

    async def put(self, sha256: str, content: AsyncGenerator[bytes], inventory: Inventory) -> None:
        """Put a content in, unless it is there whole.

        Args:
            sha256: Its name, and what it must be.
            content: Its pieces, of any size; closed in any case.
            inventory: What the store has.

        Raises:
            Conflict: the content is not what its name says.
            Unavailable, DeadlineExceeded: the store cannot be written.
        """
        async with aclosing(content):
            if not inventory.whole(sha256):
                await self._put(sha256, content, inventory)

    async def put_bytes(self, sha256: str, content: bytes, inventory: Inventory) -> None:
        """Put a small content in. Raises as `put`."""

        async def pieces() -> AsyncGenerator[bytes]:
            yield content

        await self.put(sha256, pieces(), inventory)

    async def renew(self, names: Collection[str], inventory: Inventory) -> bool:
        """Have contents count as new, so that nobody takes them out; returns whether all of them are still there."""
        waiting = list(names)
        failed: list[str] = []

        async def work() -> None:
            while waiting and not failed:
                blob = inventory.blobs[waiting.pop()]
                if not await self._tell(blob.info, blob.sequence):
                    failed.append(blob.info.name)

        await together(*(work() for _ in range(_RENEWED_AT_ONCE)))
        return not failed

    async def take_out(self, blob: Blob) -> bool:
        """Take a content out, unless it has just been put in anew; returns whether it is out.

        First it is marked as deleted, as ADR-20 has it, then its chunks go, then the marker.
        """
        name = blob.info.name
        gone = msgspec.structs.replace(blob.info, deleted=True, size=0, chunks=0, digest="")
        ack = await self._tell(gone, blob.sequence)
        if not ack:
            return False
        await self.drop_chunks(blob.info.nuid)
        await self.drop_marker(name, ack)
        return True

    async def drop_chunks(self, nuid: str) -> None:
        """Drop all chunks of an upload."""
        await self._api.purge_subject(COMPONENTS.stream, blobs.CHUNK_PREFIX + nuid)

    async def drop_marker(self, name: str, sequence: int) -> None:
        """Drop the marker of a deleted content, and nothing that came after it."""
        await self._api.purge_subject(COMPONENTS.stream, blobs.META_PREFIX + blobs.meta_key(name), sequence + 1)

    # --- inside

    async def _put(self, sha256: str, content: AsyncGenerator[bytes], inventory: Inventory) -> None:
        known = inventory.blobs.get(sha256)
        nuid = uuid.uuid4().hex
        try:
            size, count = await self._send(nuid, sha256, content)
            info = ObjectInfo(
                name=sha256,
                bucket=blobs.BUCKET,
                nuid=nuid,
                size=size,
                mtime=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                chunks=count,
                digest=blobs.digest_of(sha256),
                options=blobs.Options(self._chunk_bytes),
            )
            taken = await self._tell(info, known.sequence if known is not None else inventory.deleted.get(sha256, 0))
        except BaseException:
            await self._give_up(nuid)
            raise
        if not taken:  # others were faster with the same
            await self._give_up(nuid)

    @property
    def _chunk_bytes(self) -> int:
        return min(blobs.CHUNK_BYTES, self._client.max_payload - _ROOM)

    async def _give_up(self, nuid: str) -> None:
        """Drop the chunks of an upload that comes to nothing; where that fails, the leader finds them later."""
        with suppress(HubError):
            await self.drop_chunks(nuid)

    async def _send(self, nuid: str, sha256: str, content: AsyncIterator[bytes]) -> tuple[int, int]:
        """Send a content in chunks, a few at a time; returns how large it was, and how many they were."""
        seen, size, count = hashlib.sha256(), 0, 0
        under_way: deque[asyncio.Future[Msg]] = deque()
        try:
            async for chunk in _cut(content, self._chunk_bytes):
                if len(under_way) == _AT_ONCE:
                    self._acknowledged(await under_way.popleft(), nuid)
                seen.update(chunk)
                size, count = size + len(chunk), count + 1
                under_way.append(await self._requester.begin(blobs.CHUNK_PREFIX + nuid, chunk, timeout=TIMEOUT))
            while under_way:
                self._acknowledged(await under_way.popleft(), nuid)
        finally:
            for future in under_way:
                future.cancel()
        if seen.hexdigest() != sha256:
            raise Conflict(f"content {sha256}: has changed while it was sent")
        return size, count

    async def _tell(self, info: ObjectInfo, last: int) -> int:
        """Tell of a content, if what was told of it last is that message; returns where, or 0 where it is not."""
        headers = {_EXPECTED: str(last), "Nats-Rollup": "sub"}
        subject = blobs.META_PREFIX + blobs.meta_key(info.name)
        reply = await self._requester.request(subject, encode(info), headers=headers, timeout=TIMEOUT)
        try:
            return self._acknowledged(reply, info.name)
        except RevisionConflict:
            return 0

    def _acknowledged(self, reply: Msg, what: str) -> int:
        try:
            ack = _ack.decode(reply.data)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"object store {blobs.BUCKET}: the write was answered with {error}") from None
        if ack.error is None:
            return ack.seq
        if ack.error.err_code in WRONG_LAST_SEQUENCE:
            raise RevisionConflict(f"{what}: {ack.error.description}")
        raise refused(f"writing {what} to the object store {blobs.BUCKET}", ack.error)


async def _cut(content: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in chunks of `size`, the last one perhaps smaller."""
    rest = bytearray()
    async for piece in content:
        rest += piece
        while len(rest) >= size:
            yield bytes(rest[:size])
            del rest[:size]
    if rest:
        yield bytes(rest)


def _info(value: bytes | None) -> ObjectInfo | None:
    """What is told of an object; None for one that others have put there in a way of their own."""
    try:
        return blobs.decode_info(value) if value else None
    except msgspec.MsgspecError:
        return None


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Do all of that at the same time; the first error ends the rest, and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
