"""A folder of files that somebody may be writing to: what is in it, read without ever leaving it.

Everything is opened relative to the folder that it is in, and no link is followed, so that none that is put there
meanwhile leads elsewhere. What changes while it is looked at is no content of a version: it is `Unsettled`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from hub.core.components import Bounds, check, is_skipped, wrong_path
from hub.errors import HubError
from hub.wire.components import ComponentFile

_PIECE: Final = 1024 * 1024
_FRESH: Final = 2.0
"""Seconds after its last change in which a file could change again under the same time of change."""
_ENTRIES_PER_FILE: Final = 10
"""How many entries a folder may have, those that are skipped and folders included, for each file that it may have."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Unsettled(Exception):
    """A file has changed, or has gone, while it was looked at."""


class Stamp(NamedTuple):
    """What tells that a file is as it was."""

    inode: int
    size: int
    modified: int
    changed: int
    executable: bool


class Listing(NamedTuple):
    """What a folder has."""

    files: dict[str, Stamp]
    """Its files, by path."""
    folders: list[str]
    """The folders in it that were looked into."""
    refused: dict[str, str]
    """What cannot be a component, by path, and why."""


class Scan(NamedTuple):
    """What the files of a folder are."""

    listing: Listing
    files: tuple[ComponentFile, ...]
    """By path; empty where something is refused."""


class Folder:
    """A folder with files for the components.

    Args:
        path: Where it is. It may itself be a link.
        bounds: How much it may have.
    """

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self.path = path
        self._bounds = bounds
        self._known: dict[str, tuple[Stamp, str]] = {}

    def is_there(self) -> bool:
        """Whether there is such a folder."""
        return self.path.is_dir()

    def look(self) -> Listing:
        """What there is, by name alone. Blocks.

        Raises:
            FileNotFoundError: the folder is not there.
        """
        listing = Listing({}, [], {})
        total, entries = 0, 0
        for path, found in self._walk(listing):
            entries += 1
            if entries > self._bounds.files * _ENTRIES_PER_FILE or len(listing.files) >= self._bounds.files:
                listing.refused["."] = f"expected at most {self._bounds.files} files"
                break
            if found is None:
                continue
            if wrong := wrong_path(path) or self._too_large(found.st_size):
                listing.refused[_shown(path)] = wrong
                continue
            listing.files[path] = _stamp(found)
            total += found.st_size
            if total > self._bounds.total:
                listing.refused["."] = f"expected at most {self._bounds.total} bytes together"
                break
        return listing

    def scan(self) -> Scan:
        """What there is, and the SHA-256 of all of it. Only what has changed since is read again. Blocks.

        Raises:
            FileNotFoundError: the folder is not there.
            Unsettled: something changes right now.
        """
        listing = self.look()
        if listing.refused:
            return Scan(listing, ())
        known: dict[str, tuple[Stamp, str]] = {}
        files = []
        for path, stamp in sorted(listing.files.items()):
            before = self._known.get(path)
            if before is not None and before[0] == stamp:
                sha256 = before[1]
            else:
                try:
                    sha256 = self._hash(path, stamp)
                except PermissionError as error:
                    listing.refused[_shown(path)] = f"cannot be read ({error.strerror})"
                    continue
            if time.time() - max(stamp.modified, stamp.changed) / 1e9 > _FRESH:
                known[path] = stamp, sha256
            files.append(ComponentFile(path=path, sha256=sha256, size=stamp.size, executable=stamp.executable))
        self._known = known
        try:
            check(files, self._bounds)
        except HubError as error:  # names that exclude each other
            listing.refused["."] = error.message
        return Scan(listing, () if listing.refused else tuple(files))

    async def content(self, path: str) -> AsyncGenerator[bytes]:
        """The bytes of a file, piece by piece.

        Raises:
            Unsettled: it is gone, or something else than a file.
        """
        with self._open(path) as file:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield piece

    # --- inside

    def _too_large(self, size: int) -> str:
        return f"expected at most {self._bounds.file} bytes, got {size}" if size > self._bounds.file else ""

    def _walk(self, listing: Listing) -> Iterator[tuple[str, os.stat_result | None]]:
        """Every entry that is not skipped, with what it is; None where it is refused, or a folder."""
        waiting = [""]
        while waiting:
            within = waiting.pop()
            try:
                with self._folder(within) as descriptor, os.scandir(descriptor) as entries:
                    for entry in entries:
                        if is_skipped(entry.name):
                            yield entry.name, None
                            continue
                        path = f"{within}/{entry.name}" if within else entry.name
                        found = entry.stat(follow_symlinks=False)
                        yield path, self._judged(path, found, listing, waiting)
            except OSError as error:
                if not within:
                    raise FileNotFoundError(f"{self.path}: cannot be read ({error.strerror})") from None
                if not isinstance(error, FileNotFoundError):  # one that is gone will be told of
                    listing.refused[_shown(within)] = f"cannot be read ({error.strerror})"

    def _judged(self, path: str, found: os.stat_result, listing: Listing, waiting: list[str]) -> os.stat_result | None:
        if stat.S_ISREG(found.st_mode):
            return found
        if stat.S_ISDIR(found.st_mode):
            if wrong := wrong_path(path):
                listing.refused[_shown(path)] = wrong
            else:
                waiting.append(path)
                listing.folders.append(path)
        else:
            what = "a link" if stat.S_ISLNK(found.st_mode) else "neither file nor folder"
            listing.refused[_shown(path)] = f"expected a file, it is {what}"
        return None

    def _hash(self, path: str, stamp: Stamp) -> str:
        seen, size = hashlib.sha256(), 0
        with self._open(path) as file:
            if _stamp(os.fstat(file.fileno())) != stamp:
                raise Unsettled(path)
            while piece := file.read(_PIECE):
                seen.update(piece)
                size += len(piece)
                if size > stamp.size:
                    raise Unsettled(path)
            if _stamp(os.fstat(file.fileno())) != stamp or size != stamp.size:
                raise Unsettled(path)
        return seen.hexdigest()

    @contextmanager
    def _open(self, path: str) -> Iterator[BinaryIO]:
        within, _, name = path.rpartition("/")
        try:
            with self._folder(within) as descriptor:
                file = os.fdopen(os.open(name, _FILE, dir_fd=descriptor), "rb")
        except PermissionError:
            raise
        except OSError as error:  # gone, or a link by now
            raise Unsettled(f"{path} ({error.strerror})") from None
        with file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unsettled(path)
            yield file

    @contextmanager
    def _folder(self, within: str) -> Iterator[int]:
        """A descriptor of the folder of that path inside, reached without following a link."""
        descriptor = os.open(self.path, _FOLDER & ~os.O_NOFOLLOW)
        try:
            for part in within.split("/") if within else ():
                inner = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, bool(found.st_mode & stat.S_IXUSR))


def _shown(path: str) -> str:
    """A path as it can be written anywhere, whatever bytes are in it."""
    return path.encode(errors="backslashreplace").decode()
