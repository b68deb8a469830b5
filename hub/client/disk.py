"""Files on the disk: found without following a link, linked, copied, and brought there for good. Everything blocks."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything in a folder that is no folder, by path; no link is followed."""
    waiting = [""]
    while waiting:
        within = waiting.pop()
        try:
            with os.scandir(folder / within) as entries:
                for entry in entries:
                    path = f"{within}/{entry.name}" if within else entry.name
                    seen = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(seen.st_mode):
                        waiting.append(path)
                    else:
                        yield path, seen
        except FileNotFoundError:
            continue


def link(source: Path, target: Path) -> None:
    """Have the same file at another path, too; a copy of it where that cannot be."""
    try:
        os.link(source, target)
    except OSError:  # too many links, or a file system without
        copy(source, target, stat.S_IMODE(source.stat().st_mode))


def copy(source: Path, target: Path, mode: int) -> None:
    """Copy a file to where there is none, and bring it to the disk."""
    with source.open("rb") as content, target.open("xb") as out:
        shutil.copyfileobj(content, out)
        out.flush()
        os.fchmod(out.fileno(), mode)
        os.fsync(out.fileno())


def remove(entry: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


def sync_folder(folder: str | Path) -> None:
    """Bring to the disk which files there are in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, part: Path) -> None:
    """Write a small file, whole or not at all, under the name `part` first; it is on the disk then."""
    with part.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)
