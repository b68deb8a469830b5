"""Files that are read at the start alone: whether they still say what they said then, and are what they should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from hub.core.condition import Condition, warning

_MOST_SHOWN: Final = 10
"""Files that one reason names."""


class Content(NamedTuple):
    """What a file holds.

    Attributes:
        digest: The SHA-256 of it; None where it cannot be told.
        broken: Which file is not what it should be, where in it, and why; empty where it is well.
    """

    digest: str | None
    broken: str = ""


class Difference(NamedTuple):
    """A file is not what it was at the start.

    Attributes:
        digest: Of what it holds now; None where it is gone.
        words: Which file, and since when: `config/static/databases.toml changed at 2026-01-31 12:00:00 UTC`.
    """

    digest: str | None
    words: str


class RestartNeeded:
    """Compares what files hold with what they held at the start. To save one again without a change says nothing.

    A file that cannot be read at the start counts as missing then; one that cannot be read later, as unchanged.

    Args:
        began: What each file held at the start, by its path.
    """

    def __init__(self, began: Mapping[str, Content]) -> None:
        self._began = {path: content.digest for path, content in began.items() if content.digest is not None}
        self._differing: dict[str, Difference] = {}
        self._broken = _broken(began)

    @property
    def needed(self) -> bool:
        """Whether a restart would find other files."""
        return bool(self._differing)

    @property
    def condition(self) -> Condition:
        """What operators should know: what has changed, and what is broken."""
        reasons = list(self._broken.values())
        if self._differing:
            reasons.insert(0, f"restart needed: {_listed([each.words for each in self._differing.values()])}")
        return warning("; ".join(reasons[: _MOST_SHOWN + 1]))

    @property
    def broken(self) -> tuple[str, ...]:
        """Which files are not what they should be, and why."""
        return tuple(self._broken.values())

    def look(self, found: Mapping[str, Content], at: datetime) -> Iterator[str]:
        """Take what the files hold at a time, and return what is new in that, in words for the log."""
        before, broken_before = self._differing, self._broken
        self._differing = dict(self._differences(found, at))
        self._broken = _broken(found)
        for path, difference in self._differing.items():
            if difference != before.get(path):
                yield f"restart needed: {difference.words}"
        for path in before.keys() - self._differing.keys():
            yield f"no restart needed for it any more: {path} is again what it was at the start"
        for path, reason in self._broken.items():
            if reason != broken_before.get(path):
                yield reason

    def _differences(self, found: Mapping[str, Content], at: datetime) -> Iterator[tuple[str, Difference]]:
        for path in sorted(self._began.keys() | found.keys()):
            began, content = self._began.get(path), found.get(path)
            if content is not None and content.digest is None:
                if path in self._differing:
                    yield path, self._differing[path]
                continue
            digest = content.digest if content is not None else None
            if digest == began:
                continue
            known = self._differing.get(path)
            if known is not None and known.digest == digest:
                yield path, known
            else:
                yield path, Difference(digest, f"{path} {_what(began, digest)} {at:%Y-%m-%d %H:%M:%S} UTC")


def _what(began: str | None, digest: str | None) -> str:
    if digest is None:
        return "is gone since"
    return "is new since" if began is None else "changed at"


def _broken(found: Mapping[str, Content]) -> dict[str, str]:
    return {path: content.broken for path, content in found.items() if content.broken}


def _listed(words: list[str]) -> str:
    more = len(words) - _MOST_SHOWN
    return ", ".join(words[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
