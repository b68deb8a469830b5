"""Contents in a JetStream object store (ADR-20), each under the name of its SHA-256, read by direct gets alone.

A direct get is one request with one reply, answered by whichever server holds the stream: it needs no consumer, of
which a stream has no more than a thousand, never waits for longer than its timeout, and has one chunk in memory at a
time. The library's own `ObjectStore.get` waits without end for a chunk that is gone.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from nats.aio.msg import Msg

from hub.errors import NotFound, PayloadTooLarge, Unavailable
from hub.transport.requests import Requester
from hub.wire import subjects

BUCKET: Final = subjects.COMPONENTS_STORE
STREAM: Final = f"OBJ_{BUCKET}"
META_PREFIX: Final = f"$O.{BUCKET}.M."
CHUNK_PREFIX: Final = f"$O.{BUCKET}.C."
CHUNK_BYTES: Final = 128 * 1024
"""Bytes of a chunk, as ADR-20 has it by default."""
DIGEST_PREFIX: Final = "SHA-256="
TIMEOUT: Final = 5.0
"""Seconds that one request may take."""

_DIRECT_GET: Final = f"$JS.API.DIRECT.GET.{STREAM}"


class Options(Struct, frozen=True):
    """How an object was cut."""

    max_chunk_size: int = CHUNK_BYTES


class ObjectInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a store says of one object, in the words of ADR-20."""

    name: str
    bucket: str
    nuid: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,64}\Z")]
    size: int = 0
    mtime: str = ""
    chunks: int = 0
    digest: str = ""
    deleted: bool = False
    options: Options = Options()


class Blob(Struct, frozen=True):
    """One content, and the message that tells of it."""

    info: ObjectInfo
    sequence: int


class Damaged(Unavailable):
    """What is stored is not what its name says, or not all of it is there."""


decode_info = msgspec.json.Decoder(ObjectInfo).decode


def digest_of(sha256: str) -> str:
    """A SHA-256 in hexadecimal as ADR-20 writes it."""
    return DIGEST_PREFIX + base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode()


def meta_key(sha256: str) -> str:
    """What follows `META_PREFIX` in the subject of the message that tells of a content."""
    return base64.urlsafe_b64encode(sha256.encode()).decode()


async def find(requester: Requester, sha256: str) -> Blob | None:
    """The content of that name; None where there is none, or no more.

    Raises:
        Unavailable, DeadlineExceeded: the store cannot be read.
    """
    reply = await requester.request(f"{_DIRECT_GET}.{META_PREFIX}{meta_key(sha256)}", timeout=TIMEOUT)
    sequence = _sequence(reply)
    if sequence is None:
        return None
    try:
        info = decode_info(reply.data)
    except msgspec.MsgspecError as error:
        raise Damaged(f"content {sha256}: what is stored of it is not understood ({error})") from None
    return None if info.deleted else Blob(info, sequence)


async def chunks(requester: Requester, sha256: str, *, largest: int) -> AsyncIterator[bytes]:
    """The content of that name, piece by piece. Ends without an error only if that is what it is.

    Raises:
        NotFound: there is none.
        Damaged: it is not what its name says.
        PayloadTooLarge: it is larger than `largest` bytes.
        Unavailable, DeadlineExceeded: the store cannot be read.
    """
    blob = await find(requester, sha256)
    if blob is None:
        raise NotFound(f"content {sha256}: is not in the object store {BUCKET}")
    info = blob.info
    if info.size > largest:
        raise PayloadTooLarge(f"content {sha256}: expected at most {largest} bytes, got {info.size}")
    seen, total, after = hashlib.sha256(), 0, 0
    for number in range(info.chunks):
        body = msgspec.json.encode({"next_by_subj": CHUNK_PREFIX + info.nuid, "seq": after + 1})
        reply = await requester.request(_DIRECT_GET, body, timeout=TIMEOUT)
        sequence = _sequence(reply)
        if sequence is None:
            raise Damaged(f"content {sha256}: the store has {number} of its {info.chunks} chunks")
        after = sequence
        total += len(reply.data)
        if total > largest:
            raise PayloadTooLarge(f"content {sha256}: expected at most {largest} bytes, got more")
        seen.update(reply.data)
        yield reply.data
    if seen.hexdigest() != sha256 or total != info.size:
        raise Damaged(f"content {sha256}: the store has other bytes under that name ({total}, of {info.size})")


async def read(requester: Requester, sha256: str, *, largest: int) -> bytes:
    """All of a small content. Raises as `chunks` does."""
    return b"".join([chunk async for chunk in chunks(requester, sha256, largest=largest)])


def _sequence(reply: Msg) -> int | None:
    """Where in the stream the message of a direct get is; None where there is none.

    Raises:
        Unavailable: it is no answer of that kind.
    """
    headers = reply.headers or {}
    status = headers.get("Status")
    if status == "404":
        return None
    if status is not None or "Nats-Sequence" not in headers:
        words = headers.get("Description", "an answer that is none")
        raise Unavailable(f"object store {BUCKET}: cannot be read ({status}: {words})")
    return int(headers["Nats-Sequence"])
