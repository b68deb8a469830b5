"""What a version of the components may be, in what two differ, and which contents nobody needs any more."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from hub.errors import InvalidRequest, PayloadTooLarge
from hub.wire.codec import encode
from hub.wire.components import MAX_CHANGED, MAX_PATH, MAX_TREE, ComponentFile, ComponentsRecord, ComponentTree

MAX_NAME: Final = 255
"""Bytes of one part of a path: what file systems take."""
KEPT_UNUSED: Final = 3600.0
"""Seconds that a content must have been seen unused, and unchanged, before it goes: an upload may be on its way."""

_LEFTOVERS: Final = ("~", ".swp", ".swo", ".swx", ".tmp", ".part", ".crdownload", "___jb_tmp___", "___jb_old___")
_PROBE_OF_VIM: Final = "4913"

_decode_tree = msgspec.json.Decoder(ComponentTree).decode


class Bounds(NamedTuple):
    """How large a version may be."""

    file: int = 16 * 1024 * 1024
    """Bytes of one file."""
    total: int = 256 * 1024 * 1024
    """Bytes of all files."""
    files: int = 10_000


UNBOUNDED: Final = Bounds(2**53, 2**53, 2**31)


def is_skipped(name: str) -> bool:
    """Whether a file or folder of that name is none of the components: hidden, or an editor's own."""
    if name.startswith(".") or name == _PROBE_OF_VIM:
        return True
    return name.endswith(_LEFTOVERS) or (name.startswith("#") and name.endswith("#"))


def wrong_path(path: str) -> str:
    """What is wrong with a path, as `expected …`; empty where nothing is."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "expected a name in UTF-8"
    if len(encoded) > MAX_PATH:
        return f"expected a path of at most {MAX_PATH} bytes, got {len(encoded)}"
    if "\\" in path or not path.isprintable():
        return "expected a path of printable characters without '\\'"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "expected a relative path without '.', '..' and empty parts"
        if part.startswith("."):
            return "expected no hidden file"
        if len(part.encode()) > MAX_NAME:
            return f"expected parts of at most {MAX_NAME} bytes"
    return ""


def check(files: Collection[ComponentFile], bounds: Bounds = UNBOUNDED) -> None:
    """Return if these can be the files of one version.

    Raises:
        InvalidRequest: they cannot; says which file, and why.
        PayloadTooLarge: they are too large, or too many.
    """
    if len(files) > bounds.files:
        raise PayloadTooLarge(f"files: expected at most {bounds.files}, got {len(files)}")
    total = 0
    for file in files:
        if wrong := wrong_path(file.path):
            raise InvalidRequest(f"{file.path!r}: {wrong}")
        if file.size > bounds.file:
            raise PayloadTooLarge(f"{file.path}: expected at most {bounds.file} bytes, got {file.size}")
        total += file.size
    if total > bounds.total:
        raise PayloadTooLarge(f"files: expected at most {bounds.total} bytes together, got {total}")
    _check_names([file.path for file in files])
    paths = [file.path for file in files]
    if paths != sorted(paths):
        raise InvalidRequest("files: expected them in the order of their paths")


def _check_names(paths: Collection[str]) -> None:
    """Refuse names that some file system takes for one, and a file where others need a folder."""
    names: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        name = unicodedata.normalize("NFC", path).casefold()
        if name in names:
            raise InvalidRequest(f"{path!r}: expected a name that no file system takes for that of {names[name]!r}")
        names[name] = path
        while "/" in name:
            name = name.rpartition("/")[0]
            folders[name] = path
    for name in names.keys() & folders.keys():
        raise InvalidRequest(f"{names[name]!r}: expected no file where {folders[name]!r} needs a folder")


def encoded_tree(files: Iterable[ComponentFile]) -> tuple[bytes, str]:
    """The tree of these files, and the SHA-256 that it is stored under: the same for the same files.

    Raises:
        PayloadTooLarge: it is too large to be stored.
    """
    tree = encode(ComponentTree(files=tuple(sorted(files, key=lambda file: file.path))))
    if len(tree) > MAX_TREE:
        raise PayloadTooLarge(f"the list of the files: expected at most {MAX_TREE} bytes, got {len(tree)}")
    return tree, hashlib.sha256(tree).hexdigest()


def decoded_tree(tree: bytes, bounds: Bounds = UNBOUNDED) -> tuple[ComponentFile, ...]:
    """The files of a tree.

    Raises:
        InvalidRequest: it is none, or a version cannot have such files.
        PayloadTooLarge: as `check`.
    """
    try:
        files = _decode_tree(tree).files
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"tree: expected a list of files, got something else ({error})") from None
    check(files, bounds)
    return files


def changed(before: Iterable[ComponentFile], after: Iterable[ComponentFile]) -> tuple[str, ...]:
    """The paths at which two versions differ, in order."""
    old, new = {file.path: file for file in before}, {file.path: file for file in after}
    return tuple(path for path in sorted(old.keys() | new.keys()) if old.get(path) != new.get(path))


def described(files: Collection[ComponentFile], before: Collection[ComponentFile]) -> tuple[int, int, tuple[str, ...]]:
    """How many files there are, how large they are together, and which differ from those before, the first fifty."""
    return len(files), sum(file.size for file in files), changed(before, files)[:MAX_CHANGED]


def needed(files: Iterable[ComponentFile], tree: str) -> set[str]:
    """The names of all contents that a version needs."""
    return {tree, *(file.sha256 for file in files)}


def says_nothing_new(record: ComponentsRecord | None, folder_tree: str) -> bool:
    """Whether the folder was heard already: what operators have published or gone back to since stays the newest."""
    return record is not None and record.folder == folder_tree


class Unused:
    """Remembers since when contents were seen unused.

    It goes by the time of whoever looks, and not by that of whoever has stored them: no clock can be wrong. One that
    was stored again, or has grown, counts as new.
    """

    def __init__(self, kept: float = KEPT_UNUSED) -> None:
        self._kept = kept
        self._since: dict[str, tuple[int, float]] = {}

    def due(self, seen: Mapping[str, int], needed: Collection[str], now: float) -> list[str]:
        """Those that may go.

        Args:
            seen: All that there are, each with a number that is another one when it was stored again.
            needed: Those that some version needs.
            now: Monotonic seconds.
        """
        since: dict[str, tuple[int, float]] = {}
        for name, mark in seen.items():
            if name not in needed:
                known = self._since.get(name)
                since[name] = known if known is not None and known[0] == mark else (mark, now)
        self._since = since
        return [name for name, (_, first) in since.items() if now - first >= self._kept]
