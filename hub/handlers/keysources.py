"""Where the keys of an issuer of tokens are: in a file of this machine, or at an URL of the issuer's."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Final, Protocol

from hub.identity.keyset import MAX_BYTES
from hub.probes.fetch import Fetcher
from hub.probes.look import Failed

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at a file."""
FRESH: Final = 300.0
"""Seconds after which keys are fetched again from an URL, whether somebody asks or not."""
RETRY: Final = 15.0
"""Seconds after which a fetch that failed is made again."""
TIMEOUT: Final = 5.0
"""Seconds that a fetch may take."""

_Stamp = tuple[int, int, int, int]


class Source(Protocol):
    """Where the keys of an issuer are.

    Attributes:
        every: Seconds after which they are read again.
        retry: Seconds after which they are read again where that failed.
        patience: How often in a row that may fail before operators are told.
        must_start: Whether the hub starts only once they have been read.
    """

    every: float
    retry: float
    patience: int
    must_start: bool

    async def read(self) -> bytes | None:
        """What is there; None where it is what was read before.

        Raises:
            Failed: it cannot be had; says why.
        """


class FileSource:
    """A file, which is read when it changes.

    Args:
        path: Which.
        private: Whether nobody but its owner may read it, as it has a secret.
    """

    patience = 1
    must_start = True

    def __init__(self, path: Path, *, private: bool) -> None:
        self.every = self.retry = LOOK_EVERY
        self._path = path
        self._private = private
        self._stamp: _Stamp | None = None

    async def read(self) -> bytes | None:
        """See `Source`."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes | None:
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                stamp = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)
                if stamp == self._stamp:
                    return None
                self._stamp = None
                mode = stat.S_IMODE(found.st_mode)
                if self._private and mode & 0o077:
                    raise Failed(
                        f"{self._path}: expected mode 0600 or 0400, got {mode:04o}: others may read the secret; "
                        f"`chmod 600 {self._path}`"
                    )
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            self._stamp = None
            raise Failed(f"{self._path}: cannot be read ({error.strerror})") from None
        self._stamp = stamp
        return data


class UrlSource:
    """An URL, which is fetched every few minutes.

    Args:
        url: Which.
        ca: The file of the CAs that are trusted for it, in place of those of the machine.
        every: Seconds between two fetches.
        retry: Seconds after a fetch that failed.
    """

    patience = 2
    must_start = False

    def __init__(self, url: str, *, ca: str | None, every: float = FRESH, retry: float = RETRY) -> None:
        self.every = every
        self.retry = retry
        self.fetcher = Fetcher(url, ca=ca, most=MAX_BYTES, timeout=TIMEOUT)

    async def read(self) -> bytes | None:
        """See `Source`."""
        return await self.fetcher()
