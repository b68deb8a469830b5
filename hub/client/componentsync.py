"""Bringing one local copy of the components to a version: what is missing is read from NATS, then a link is replaced.

What fails leaves the version before in place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from hub.client.componentcopy import Found, LocalCopy, Note, Staging
from hub.client.componentreading import Version
from hub.client.confighandlers import Handlers
from hub.client.link import Link
from hub.core.components import changed, decoded_tree, described
from hub.errors import HubError, Unavailable
from hub.transport import blobs
from hub.wire.components import MAX_TREE, ComponentFile

log = logging.getLogger("hub.client")

AT_ONCE: Final = 8
"""Files on their way; each has one chunk of 128 KiB in memory."""
_LOCKED_AGAIN: Final = 0.05
_SHOWN: Final = 5


_told_by: ContextVar[object | None] = ContextVar("told_by", default=None)


class Synced(NamedTuple):
    """What the local copy is.

    Attributes:
        path: Where it is, as given.
        folder: The folder of this version itself, which stays as it is while there is only one newer version.
        revision: Which version it is; 0 where nothing was ever published, and there is nothing at `path`.
        changed: The paths that differ from what was there before.
        published: When the version was published.
        stale: Whether there may be a newer one: it could not be found out.
        age: Seconds since it was last known to be the newest.
    """

    path: Path
    folder: Path
    revision: int
    changed: tuple[str, ...] = ()
    published: datetime | None = None
    stale: bool = False
    age: float = 0.0


class Refused(HubError):
    """A handler does not take a version of the components; the one before it is in place again."""

    code = "refused"
    status = 422


class _Here(NamedTuple):
    """The version that counts now."""

    version: str
    note: Note
    found: Found


class ComponentSync:
    """Keeps one local copy. Everything that touches the copy goes through here, one after the other.

    Args:
        copy: The copy; it has been claimed.
        handlers: Who is told of a version, and may refuse it.
        timeout: Seconds to wait for another process that brings the same copy up to date.
    """

    def __init__(self, copy: LocalCopy, handlers: Handlers, timeout: float) -> None:
        self.copy = copy
        self._handlers = handlers
        self._timeout = timeout
        self._telling: object | None = None

    @property
    def is_telling_us(self) -> bool:
        """Whether whoever asks is called because of a change, and waited for."""
        return self._telling is not None and _told_by.get() is self._telling

    async def whole(self) -> Synced | None:
        """The copy as it is; None where there is none.

        Raises:
            Unavailable: it is not as it was published.
            HubError: it cannot be read.
        """
        with writing(self.copy):
            async with self._locked():
                await self._recover()
                here = await asyncio.to_thread(self._look)
        if here is None:
            return None
        if here.found.wrong:
            raise Unavailable(f"{self.copy.path}: changed here, cannot be mended now: {_some(here.found.wrong)}")
        return self._synced(here.version, here.note, ())

    async def bring(self, link: Link, version: Version, check: Callable[[Note], None]) -> Synced:
        """Have the copy be this version, and say what that has changed.

        Args:
            link: The connection.
            version: What it is to be.
            check: Raises where what is here already is not to be replaced by it.

        Raises:
            NotFound, Unavailable, DeadlineExceeded: something of it cannot be read, or is damaged.
            InvalidRequest: it cannot be a version.
            Refused: a handler does not take it.
            Conflict: something is in the way that is not ours.
            HubError: the copy cannot be written.
        """
        with writing(self.copy):
            async with self._locked():
                await self._recover()
                self._tell_aside(await asyncio.to_thread(self.copy.tidy))
                here = await asyncio.to_thread(self._look)
                if here is not None:
                    check(here.note)
                    self._tell_of(here.found)
                    if here.note.tree == version.record.tree and not here.found.wrong:
                        return await self._renumber(here, version)
                return await self._make(link, version, here)

    # --- inside

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        while not self.copy.lock():
            if loop.time() >= deadline:
                raise Unavailable(f"{self.copy.path}: another process is bringing it up to date")
            await asyncio.sleep(_LOCKED_AGAIN)
        try:
            yield
        finally:
            self.copy.unlock()

    async def _recover(self) -> None:
        if (tried := await asyncio.to_thread(self.copy.recover)) is not None:
            log.warning("components: %s was on trial when its process ended; went back from it", tried)

    def _look(self) -> _Here | None:
        current = self.copy.current()
        return _Here(*current, self.copy.look(*current)) if current is not None else None

    def _tell_of(self, found: Found) -> None:
        if found.wrong:
            log.error("components: changed here, and replaced: %s", _some(found.wrong))
        if found.foreign:
            log.warning("components: in a folder of ours, and left where it is: %s", _some(found.foreign))

    def _tell_aside(self, places: list[Path]) -> None:
        for place in places:
            log.warning("components: files that are not ours were put aside, to %s", place)

    async def _renumber(self, here: _Here, version: Version) -> Synced:
        """The copy has these files already; perhaps as another revision."""
        note = here.note
        if note.revision != version.revision:
            note = Note(revision=version.revision, tree=note.tree, at=version.record.at, files=note.files)
            await asyncio.to_thread(self.copy.note, here.version, note)
        await asyncio.to_thread(self.copy.confirm)
        return self._synced(here.version, note, ())

    async def _make(self, link: Link, version: Version, here: _Here | None) -> Synced:
        before: tuple[ComponentFile, ...] = here.note.files if here is not None else ()
        files = await _files(link, version, here.note if here is not None else None)
        fresh = Note(revision=version.revision, tree=version.record.tree, at=version.record.at, files=files)
        source, good, wrong = (here.version, here.found.good, here.found.wrong) if here is not None else (None, {}, [])
        staging = await asyncio.to_thread(self.copy.stage, files, source, good)
        try:
            await _fetch(link, self.copy, staging)
            made = await asyncio.to_thread(self.copy.finish, staging, fresh)
        except BaseException:
            await asyncio.to_thread(self.copy.discard, staging)
            raise
        synced = self._synced(made, fresh, tuple(sorted({*changed(before, files), *wrong})))
        previous = self.copy.linked()
        await self._try(synced, previous, self._synced(here.version, here.note, ()) if here is not None else None)
        self._tell_aside(await asyncio.to_thread(self.copy.prune, made, previous))
        await asyncio.to_thread(self.copy.confirm)
        log.info("components: revision %d, %d files changed", synced.revision, len(synced.changed))
        return synced

    async def _try(self, synced: Synced, previous: str | None, before: Synced | None) -> None:
        """Have a version count, and go back where a handler does not take it."""
        if not self._handlers:
            await asyncio.to_thread(self.copy.switch, synced.folder.name)
            return
        await asyncio.to_thread(self.copy.begin_trial, synced.folder.name, previous)
        await asyncio.to_thread(self.copy.switch, synced.folder.name)
        self._telling = object()
        token = _told_by.set(self._telling)
        try:
            await self._handlers.tell(synced, before or self.nothing(), lambda: self.copy.switch(previous))
        except BaseException as error:
            self.copy.switch(previous)  # nothing may come between, not even a cancellation
            self.copy.end_trial()
            if not isinstance(error, Exception):
                raise
            log.exception("components: revision %d refused; the version before is in place again", synced.revision)
            why = str(error) or type(error).__name__
            raise Refused(f"components: revision {synced.revision} is not taken ({why})") from error
        finally:
            _told_by.reset(token)
            self._telling = None
        await asyncio.to_thread(self.copy.end_trial)

    def nothing(self) -> Synced:
        """What is there while there is no version."""
        return Synced(self.copy.path, self.copy.path, 0)

    def _synced(self, version: str, note: Note, different: tuple[str, ...]) -> Synced:
        return Synced(self.copy.path, self.copy.folder(version), note.revision, different, note.at)


@contextmanager
def writing(copy: LocalCopy) -> Any:
    """What the file system refuses, as an error of ours."""
    try:
        yield
    except OSError as error:
        raise HubError(f"{copy.path}: the local copy cannot be kept ({error.strerror or error})") from error


async def _files(link: Link, version: Version, note: Note | None) -> tuple[ComponentFile, ...]:
    """The files of a version, which nobody but its record vouches for."""
    record = version.record
    if note is not None and note.tree == record.tree:
        return note.files
    tree = await blobs.read(link.requester, record.tree, largest=MAX_TREE)
    files = await asyncio.to_thread(decoded_tree, tree)
    count, size, _ = described(files, ())
    if (count, size) != (record.files, record.bytes):
        raise blobs.Damaged(
            f"components: revision {version.revision} is said to have {record.files} files of {record.bytes} bytes, "
            f"and lists {count} of {size}"
        )
    return files


async def _fetch(link: Link, copy: LocalCopy, staging: Staging) -> None:
    """Read what is missing, some files at a time; the first error ends all, and is raised as it is."""
    waiting = list(staging.missing.values())

    async def work() -> None:
        while waiting:
            await _fetch_one(link, copy, staging, waiting.pop())

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(waiting))):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def _fetch_one(link: Link, copy: LocalCopy, staging: Staging, files: list[ComponentFile]) -> None:
    """Read one content; it is verified by its SHA-256, and by its size."""
    file = files[0]
    out = await asyncio.to_thread(copy.create, staging, file)
    try:
        async for chunk in blobs.chunks(link.requester, file.sha256, largest=file.size):
            await asyncio.to_thread(out.write, chunk)
        if out.tell() != file.size:
            raise blobs.Damaged(f"{file.path}: expected {file.size} bytes, the store has {out.tell()}")
        await asyncio.to_thread(copy.close, out, staging, files)
    finally:
        out.close()


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
