"""The local copy of the components: versions in folders of their own, and one link that says which of them counts.

`<path>` is a link to `.<name>.hub/<version>` beside it. A version is made under another name, verified, brought to the
disk, and only then given its name; the link is replaced in one step. Whatever ends the process, and whenever, the link
leads to a version that is whole. Everything here blocks.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec
from msgspec import Struct

from hub.client.disk import copy, link, remove, sync_folder, walk, write_whole
from hub.core.components import check
from hub.errors import Conflict, HubError
from hub.wire.codec import encode
from hub.wire.components import ComponentFile

FORMAT: Final = "components 1, kept by the client of Central Hub; remove the link beside this folder to have it anew\n"
_MARK: Final = "format"
_LOCK: Final = "lock"
_TRIAL: Final = "trial"
_CONFIRMED: Final = "confirmed"
_UNFINISHED: Final = "unfinished-"
_PUT_ASIDE: Final = "put-aside-"
_VERSION: Final = re.compile(r"\d{1,20}-[0-9a-f]{8}\Z")
_PIECE: Final = 1024 * 1024


class Note(Struct, frozen=True, kw_only=True):
    """What a version is, beside its folder."""

    revision: int
    tree: str
    at: datetime
    files: tuple[ComponentFile, ...]


class Found(NamedTuple):
    """What the folder of a version has."""

    good: dict[str, ComponentFile]
    """The files that are as they were published, by path."""
    wrong: list[str]
    """The paths of those that are not."""
    foreign: list[str]
    """The paths of what was put there and is none of them."""


class Staging(NamedTuple):
    """A version that is being made."""

    folder: Path
    missing: dict[str, list[ComponentFile]]
    """The files that have to be got, by their SHA-256."""


class _Trial(Struct, frozen=True):
    version: str
    previous: str | None


_decode_note = msgspec.json.Decoder(Note).decode
_decode_trial = msgspec.json.Decoder(_Trial).decode


class LocalCopy:
    """The copy at one path.

    Args:
        path: Where others read it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self._store = self.path.with_name(f".{self.path.name}.hub")
        self._locked: BinaryIO | None = None
        self._stamps: dict[tuple[str, str], tuple[int, ...]] = {}

    # --- whose it is

    def claim(self) -> None:
        """Make sure that the path is ours, or free, and go back to what was before a version that was on trial.

        Raises:
            Conflict: there is something that is not ours.
            OSError: the folder cannot be written.
        """
        self.linked()
        if not self.path.is_symlink() and self.path.exists():
            if not self.path.is_dir():
                raise Conflict(f"{self.path}: expected a folder of our own, it is a file")
            if any(self.path.iterdir()):
                raise Conflict(
                    f"{self.path}: expected a new or an empty folder, it has files that are not ours; "
                    "move them away, or name another"
                )
        self._store.parent.mkdir(parents=True, exist_ok=True)
        self._store.mkdir(exist_ok=True)
        mark = self._store / _MARK
        if not mark.exists():
            if any(entry.name not in (_MARK, _LOCK) for entry in self._store.iterdir()):
                raise Conflict(f"{self._store}: expected a folder of our own, it has files that are not ours")
            self._write_whole(mark, FORMAT.encode())
        elif mark.read_text(errors="replace") != FORMAT:
            raise Conflict(f"{self._store}: expected a folder of our own, its file {_MARK!r} says something else")

    def lock(self) -> bool:
        """Keep other processes from changing it until `unlock`; returns whether none of them does right now."""
        try:
            import fcntl
        except ImportError:  # a system without such locks
            return True
        file = (self._store / _LOCK).open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._locked = file
        return True

    def unlock(self) -> None:
        """Let others change it again."""
        if self._locked is not None:
            self._locked.close()
            self._locked = None

    # --- what there is

    def current(self) -> tuple[str, Note] | None:
        """The version that counts; None where there is none.

        Raises:
            Conflict: the path is not ours.
        """
        version = self.linked()
        if version is None:
            return None
        try:
            note = _decode_note((self._store / f"{version}.json").read_bytes())
            check(note.files)
        except (OSError, msgspec.MsgspecError, HubError):
            return None  # as good as none: it is made anew
        return version, note

    def linked(self) -> str | None:
        """The version that the path leads to, whether it is whole or not; None where it leads nowhere.

        Raises:
            Conflict: the path is a link of others.
        """
        try:
            target = os.readlink(self.path)
        except FileNotFoundError:
            return None
        except OSError:  # no link
            return None
        store, _, version = target.rpartition("/")
        if store != self._store.name or not _VERSION.match(version):
            raise Conflict(
                f"{self.path}: expected a link of our own, it leads to {target}; move it away, or name another"
            )
        return version

    def folder(self, version: str) -> Path:
        """Where a version is."""
        return self._store / version

    def look(self, version: str, note: Note) -> Found:
        """Compare every file with what was published. One that is as it was when last looked at is not read again."""
        wanted = {file.path: file for file in note.files}
        found = Found({}, [], [])
        stamps: dict[tuple[str, str], tuple[int, ...]] = {}
        for path, seen in walk(self.folder(version)):
            file = wanted.get(path)
            if file is None:
                found.foreign.append(path)
                continue
            stamp = (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_mode)
            if self._stamps.get((version, path)) == stamp or self._is(self.folder(version) / path, file, seen):
                stamps[version, path] = stamp
                found.good[path] = file
        self._stamps = stamps
        found.wrong.extend(sorted(wanted.keys() - found.good.keys()))
        return found

    def confirm(self) -> None:
        """Remember that the copy was found to be the newest, now."""
        self._write_whole(self._store / _CONFIRMED, b"")

    def confirmed(self) -> datetime | None:
        """When it was last found to be the newest; None where that was never."""
        try:
            return datetime.fromtimestamp((self._store / _CONFIRMED).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    # --- making a version

    def stage(self, files: Iterable[ComponentFile], source: str | None, good: dict[str, ComponentFile]) -> Staging:
        """Begin a version with all that is here already, as hard links; returns what is missing."""
        staging = Staging(self._store / f"{_UNFINISHED}{secrets.token_hex(8)}", {})
        staging.folder.mkdir()
        here = {(file.sha256, file.executable): path for path, file in good.items()}
        for file in files:
            target = staging.folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            known = here.get((file.sha256, file.executable))
            if known is not None and source is not None:
                link(self.folder(source) / known, target)
            else:
                staging.missing.setdefault(file.sha256, []).append(file)
        return staging

    def create(self, staging: Staging, file: ComponentFile) -> BinaryIO:
        """A new file in a version that is being made, to be written to and handed to `close`."""
        return open(staging.folder / file.path, "xb")

    def close(self, out: BinaryIO, staging: Staging, files: list[ComponentFile]) -> None:
        """The file is written; it is brought to the disk, and to wherever else the same content belongs."""
        with out:
            out.flush()
            os.fchmod(out.fileno(), _mode(files[0]))
            os.fsync(out.fileno())
        first = staging.folder / files[0].path
        for other in files[1:]:
            target = staging.folder / other.path
            if other.executable == files[0].executable:
                link(first, target)
            else:
                copy(first, target, _mode(other))

    def finish(self, staging: Staging, note: Note) -> str:
        """Everything is there: bring the version to the disk, and give it its name."""
        version = f"{note.revision}-{secrets.token_hex(4)}"
        for folder, _, _ in os.walk(staging.folder, topdown=False):
            sync_folder(folder)
        self._write_whole(self._store / f"{version}.json", encode(note))
        staging.folder.rename(self.folder(version))
        sync_folder(self._store)
        return version

    def note(self, version: str, note: Note) -> None:
        """Say of a version that it is another revision with the same files."""
        self._write_whole(self._store / f"{version}.json", encode(note))

    def discard(self, staging: Staging) -> None:
        """It comes to nothing."""
        shutil.rmtree(staging.folder, ignore_errors=True)

    # --- switching

    def switch(self, version: str | None) -> None:
        """Have this version count, in one step; None for none at all.

        Raises:
            Conflict: somebody has put something of their own in the way.
        """
        if version is None:
            self.path.unlink(missing_ok=True)
            return
        new = self._store / f"{_UNFINISHED}{secrets.token_hex(8)}"
        new.symlink_to(f"{self._store.name}/{version}", target_is_directory=True)
        try:
            if self.path.is_dir() and not self.path.is_symlink():
                self.path.rmdir()
            new.replace(self.path)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise Conflict(
                f"{self.path}: cannot be made a link to the newest version ({error.strerror}); "
                "name a path that is neither a mount point nor has files of others"
            ) from None
        sync_folder(self.path.parent)

    def begin_trial(self, version: str, previous: str | None) -> None:
        """A version is about to count that nobody has tried yet: whoever finds this later goes back."""
        self._write_whole(self._store / _TRIAL, encode(_Trial(version, previous)))

    def end_trial(self) -> None:
        """It has stood the trial, or it counts no more."""
        (self._store / _TRIAL).unlink(missing_ok=True)

    def recover(self) -> str | None:
        """Go back from a version whose trial was never ended; returns that version, None where there was none."""
        try:
            trial = _decode_trial((self._store / _TRIAL).read_bytes())
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError:
            self.end_trial()
            return None
        back = None
        if self.linked() == trial.version:
            if trial.previous is not None and _VERSION.match(trial.previous) and self.folder(trial.previous).is_dir():
                self.switch(trial.previous)
            back = trial.version
        self.end_trial()
        return back

    def tidy(self) -> list[Path]:
        """Remove what processes have left that were killed, and versions that were refused; returns as `prune`.

        The version before the one that counts stays: somebody may be reading it.
        """
        linked = self.linked()
        older = [name for name in self._versions() if linked is not None and _number(name) < _number(linked)]
        return self.prune(linked, max(older, key=_number, default=None))

    def prune(self, *keep: str | None) -> list[Path]:
        """Remove all versions but these, and what was never finished. Nobody else may be at work on the copy.

        What others have put into a version is not removed: returns where it lies now.
        """
        aside: list[Path] = []
        for entry in list(self._store.iterdir()):
            if entry.name.startswith(_UNFINISHED):
                remove(entry)
            elif _VERSION.match(entry.name) and entry.name not in keep:
                if self._has_foreign(entry.name):
                    aside.append(entry.rename(self._store / f"{_PUT_ASIDE}{entry.name}"))
                else:
                    remove(entry.rename(self._store / f"{_UNFINISHED}{secrets.token_hex(8)}"))
        for entry in list(self._store.glob("*.json")):
            if _VERSION.match(entry.stem) and not self.folder(entry.stem).exists():
                entry.unlink(missing_ok=True)
        return aside

    # --- inside

    def _versions(self) -> list[str]:
        return [entry.name for entry in self._store.iterdir() if _VERSION.match(entry.name) and entry.is_dir()]

    def _has_foreign(self, version: str) -> bool:
        try:
            ours = {file.path for file in _decode_note((self._store / f"{version}.json").read_bytes()).files}
        except (OSError, msgspec.MsgspecError):
            ours = set()
        return any(path not in ours for path, _ in walk(self.folder(version)))

    def _is(self, path: Path, file: ComponentFile, seen: os.stat_result) -> bool:
        if not stat.S_ISREG(seen.st_mode) or seen.st_size != file.size:
            return False
        if bool(seen.st_mode & stat.S_IXUSR) != file.executable:
            return False
        digest = hashlib.sha256()
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as content:
                while piece := content.read(_PIECE):
                    digest.update(piece)
        except OSError:
            return False
        return digest.hexdigest() == file.sha256

    def _write_whole(self, path: Path, content: bytes) -> None:
        write_whole(path, content, self._store / f"{_UNFINISHED}{secrets.token_hex(8)}")


def _number(version: str) -> int:
    """The revision that a version was made as."""
    return int(version.partition("-")[0])


def _mode(file: ComponentFile) -> int:
    """Nobody is meant to write to them."""
    return 0o555 if file.executable else 0o444
