"""Folders of TOML files: those that are applied whenever one of them changes, and those that only a start reads."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tomllib
from collections.abc import AsyncIterator
from math import isfinite
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import watchfiles

from hub.core.restart import Content
from hub.wire.config import EVERYBODY
from hub.wire.names import is_service_name

LARGEST: Final = 64 * 1024
"""Bytes of a file: more would not fit into a record."""
LARGEST_STATIC: Final = 1024 * 1024
"""Bytes of a file that only a start reads."""
_GATHER: Final = 200
"""Milliseconds in which changes are taken together: an editor writes, renames and removes."""
_QUIET: Final = 50
"""Milliseconds without another change after which they are over."""
_LOOK_EVERY: Final = 1000
_PLACE: Final = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)$")


class Reading(NamedTuple):
    """What the files of a folder say."""

    values: dict[str, dict[str, Any]]
    """By scope."""
    broken: dict[str, str]
    """By scope, or by name where the file has none: which file, where in it, and what is wrong with it."""


def read(folder: Path) -> Reading | None:
    """Read every `<scope>.toml` of a folder; None where the folder is not there. Blocks."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return None
    reading = Reading({}, {})
    for path in paths:
        try:
            reading.values[path.stem] = _read(path)
        except FileNotFoundError:
            continue  # it has just been taken away
        except (OSError, ValueError) as error:
            reading.broken[path.stem] = _explained(path, error)
    return reading


def contents(folder: Path) -> dict[str, Content]:
    """What every `*.toml` of a folder holds, by its path; nothing where the folder is not there. Blocks."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    except OSError:
        return {}
    found = {str(path): content(path) for path in paths}
    return {path: each for path, each in found.items() if each is not None}


def content(path: Path, *, without: str = "") -> Content | None:
    """What a TOML file holds; None where it is not there. Blocks.

    Args:
        path: The file.
        without: A section that does not count; then neither do comments and the like.
    """
    try:
        data = _bytes(path, LARGEST_STATIC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return Content(None, _explained(path, error))
    try:
        said = _parsed(data)
    except ValueError as error:
        return Content(hashlib.sha256(data).hexdigest(), _explained(path, error))
    if without:
        said.pop(without, None)
        data = repr(msgspec.to_builtins(said)).encode()
    return Content(hashlib.sha256(data).hexdigest())


async def changes(folder: Path, *within: Path, everything: bool = False) -> AsyncIterator[bool]:
    """Whether something in the folder has changed, again and again, at least every second.

    What is in folders in it counts only where they are named: whoever watches recursively follows links, and a single
    one to `/` has all of the machine watched.

    Args:
        folder: Which.
        within: The folders in it that count, too.
        everything: Whether files count that are called as tools call their own.

    Raises:
        FileNotFoundError: the folder is not there, or not there any more.
    """
    async for found in watchfiles.awatch(
        folder,
        *within,
        watch_filter=None if everything else watchfiles.DefaultFilter(),
        recursive=False,
        debounce=_GATHER,
        step=_QUIET,
        rust_timeout=_LOOK_EVERY,
        yield_on_timeout=True,
    ):
        if not await asyncio.to_thread(folder.is_dir):
            raise FileNotFoundError(f"{folder} is gone")
        yield bool(found)


def _read(path: Path) -> dict[str, Any]:
    if path.stem != EVERYBODY and not is_service_name(path.stem):
        raise ValueError(f"expected a file called after a service, or {EVERYBODY}.toml")
    values = _parsed(_bytes(path, LARGEST))
    _check_finite(values)
    return dict(msgspec.to_builtins(values))  # dates and times become text, as JSON has none


def _bytes(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"expected at most {most} bytes")
    return data


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"expected UTF-8, got another byte at {error.start}") from None
    except RecursionError:
        raise ValueError("it nests too deep") from None


def _check_finite(value: object) -> None:
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"expected finite numbers, got {value}")
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _check_finite(each)


def _explained(path: Path, error: OSError | ValueError) -> str:
    """`config/hot-reload/engine.toml:3: expected '=' after a key`."""
    if isinstance(error, OSError):
        return f"{path}: cannot be read ({error.strerror})"
    text = str(error)
    place = _PLACE.search(text)
    line = f":{place[1]}" if place and place[1] else ""
    return f"{path}{line}: {_PLACE.sub('', text)}"
