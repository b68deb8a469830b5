"""Certificates of the moment for tests: by a CA of their own, good or with whatever is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from hub.certificates import Authority, Pair

HOSTS = ("localhost", "127.0.0.1", "::1")


class Files(NamedTuple):
    """Where a certificate and its key are."""

    cert: str
    key: str


class Ca:
    """A CA, and a folder for what it signs.

    Args:
        folder: Where the files go.
        name: What the CA is called, and its file.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._authority = Authority.fresh(f"{name} of tests", now())
        self.file = str(folder / f"{name}.pem")
        Path(self.file).write_bytes(self._authority.pair.cert)

    def issue(self, name: str, *, hosts: tuple[str, ...] = HOSTS, good_for: timedelta = timedelta(days=30)) -> Files:
        """Sign a certificate for both ends, good until then; one that is good for less than no time has expired."""
        pair = self._authority.issue(name, now(), hosts=hosts, server=True, client=True, lifetime=good_for)
        return written(self.folder, name, pair)


def written(folder: Path, name: str, pair: Pair) -> Files:
    """The files of a pair."""
    files = Files(str(folder / f"{name}.pem"), str(folder / f"{name}-key.pem"))
    for path, content in zip(files, (pair.cert, pair.key), strict=True):
        Path(path).write_bytes(content)
    return files


def now() -> datetime:
    """To the second, as certificates have it."""
    return datetime.now(UTC).replace(microsecond=0)
