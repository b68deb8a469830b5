"""What cannot be told again, in one file: configuration with its history, secrets, what operators want of instances.

The file is a zip archive: for each bucket `<bucket>.jsonl`, one entry a line in the order of their revisions, and
`manifest.json`, which says how many there are and what their SHA-256 is. What is registered is not in it: services do
register again. Secrets are in it as they are stored, encrypted: they need the key of the hub that wrote them. API keys
are in it as their hashes, and so is what was revoked.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
from msgspec import Meta, Struct
from nats.aio.client import Client

from hub.errors import Conflict, InvalidRequest
from hub.store.ports import Entry
from hub.store.reading import read_page
from hub.store.streams import ACCESS, CONFIG, DESIRED, SECRETS, BucketSpec

FORMAT: Final = 1
"""The format that is written, and the only one that is read."""
BUCKETS: Final = (CONFIG, DESIRED, SECRETS, ACCESS)
_SINCE_LATER: Final = (SECRETS, ACCESS)
"""Buckets that a file of an older hub does not have."""
_MANIFEST: Final = "manifest.json"
_LONGEST_LINE: Final = 2 * 1024 * 1024
_KEY: Final = re.compile(r"[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*")
_PAGE_WITHIN: Final = 30.0

Progress = Callable[[int], None]
"""Told how many entries more are done."""


def _unseen(_: int) -> None:
    return None


class Kept(Struct, frozen=True, kw_only=True):
    """What the file has of one bucket."""

    entries: Annotated[int, Meta(ge=0)]
    sha256: str
    """Of all its lines."""


class Manifest(Struct, frozen=True, kw_only=True):
    """What the file is."""

    format: int
    hub: str
    """The version of the hub that wrote it."""
    created: datetime
    buckets: dict[str, Kept]


class _Line(Struct, frozen=True, kw_only=True):
    key: str
    revision: Annotated[int, Meta(ge=1)]
    value: bytes


class Backup:
    """A file that has been read from its first to its last byte, and found whole.

    Attributes:
        manifest: What it says of itself.
        newest: The newest revision of each key, by bucket.
    """

    def __init__(self, path: Path, manifest: Manifest, newest: dict[str, dict[str, int]]) -> None:
        self.path = path
        self.manifest = manifest
        self.newest = newest

    def entries(self, spec: BucketSpec) -> Iterator[Entry]:
        """What it has of a bucket, oldest first."""
        if spec.name not in self.newest:
            return
        with zipfile.ZipFile(self.path) as archive:
            yield from (entry for _, entry in _lines(archive, spec))

    @property
    def total(self) -> int:
        """Entries of all buckets."""
        return sum(kept.entries for kept in self.manifest.buckets.values())


async def write(
    client: Client, path: Path, *, hub: str, created: datetime, replace: bool = False, progress: Progress = _unseen
) -> Manifest:
    """Write the file, for its owner's eyes only. It is there whole or not at all.

    Args:
        client: The connection.
        path: Where to.
        hub: The version to note.
        created: The time to note.
        replace: Whether a file that is there may be replaced.
        progress: Told of every page.

    Raises:
        Conflict: there is a file already.
        InvalidRequest: no file can be made there.
        Unavailable, DeadlineExceeded: a bucket cannot be read.
        OSError: the disk is full, or broken.
    """
    with _whole(path, replace=replace) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        kept = {spec.name: await _copy(client, spec, archive, progress) for spec in BUCKETS}
        manifest = Manifest(format=FORMAT, hub=hub, created=created, buckets=kept)
        archive.writestr(_MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    return manifest


@contextmanager
def _whole(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """A new file that gets its name only when it is written to the end and on the disk."""
    if path.exists() and not replace:
        raise Conflict(f"{path}: is there already; name another, or replace it with --force")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidRequest(f"{path}: cannot be written ({error.strerror})") from None
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


async def _copy(client: Client, spec: BucketSpec, archive: zipfile.ZipFile, progress: Progress) -> Kept:
    digest, count, after, more = hashlib.sha256(), 0, 0, 1
    with archive.open(_member(spec), "w", force_zip64=True) as member:
        while more:
            page = await read_page(client, spec, ">", after=after, timeout=_PAGE_WITHIN)
            if not page.entries:
                break
            for entry in page.entries:
                if entry.value is None:  # nothing is kept of it
                    continue
                line = msgspec.json.encode(_Line(key=entry.key, revision=entry.revision, value=entry.value)) + b"\n"
                digest.update(line)
                member.write(line)
                count += 1
            progress(len(page.entries))
            after, more = page.entries[-1].revision, page.more
    return Kept(entries=count, sha256=digest.hexdigest())


def read(path: Path) -> Backup:
    """Read a file, and verify all of it.

    Raises:
        InvalidRequest: it is no such file, or not whole; says what is wrong with it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive)
            newest = {
                spec.name: _verify(archive, spec, manifest)
                for spec in BUCKETS
                if spec not in _SINCE_LATER or spec.name in manifest.buckets
            }
    except OSError as error:
        raise InvalidRequest(f"{path}: cannot be read ({error.strerror or error})") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        KeyError,
        ValueError,
        msgspec.MsgspecError,
    ) as error:
        raise InvalidRequest(f"{path}: is no backup, or not whole ({error})") from None
    return Backup(path, manifest, newest)


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    with archive.open(_MANIFEST) as member:
        manifest = msgspec.json.decode(member.read(_LONGEST_LINE), type=Manifest)
    if manifest.format != FORMAT:
        raise ValueError(f"expected format {FORMAT}, it has {manifest.format}: written by hub {manifest.hub}")
    return manifest


def _verify(archive: zipfile.ZipFile, spec: BucketSpec, manifest: Manifest) -> dict[str, int]:
    """The newest revision of each key of a bucket, once every line of it is known to be good."""
    digest, count, last = hashlib.sha256(), 0, 0
    newest: dict[str, int] = {}
    for line, entry in _lines(archive, spec):
        digest.update(line)
        count += 1
        if entry.revision <= last:
            raise ValueError(f"{spec.name}: revision {entry.revision} comes after {last}")
        if not _KEY.fullmatch(entry.key):
            raise ValueError(f"{spec.name}: {entry.key!r} is no key")
        newest[entry.key] = last = entry.revision
    found = Kept(entries=count, sha256=digest.hexdigest())
    if found != (told := manifest.buckets[spec.name]):
        raise ValueError(f"{spec.name}: expected {told.entries} entries with SHA-256 {told.sha256}, got {found}")
    return newest


def _lines(archive: zipfile.ZipFile, spec: BucketSpec) -> Iterator[tuple[bytes, Entry]]:
    decoder = msgspec.json.Decoder(_Line)
    with archive.open(_member(spec)) as member:
        while line := member.readline(_LONGEST_LINE):
            one = decoder.decode(line)
            yield line, Entry(one.key, one.value, one.revision)


def _member(spec: BucketSpec) -> str:
    return f"{spec.name}.jsonl"
