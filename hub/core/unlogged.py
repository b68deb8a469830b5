"""How often each scope may still be changed before its bucket lets go of a revision that no log is known to have."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

LIMIT: Final = 48
"""Revisions of one scope that may be in the bucket alone: less than the 64 that it keeps."""


class Unlogged:
    """Counts the revisions of each scope that the log is not known to have.

    All revisions of a bucket are in one order, and the log takes them up in that order: whoever knows how far it has
    come, knows of every scope.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._newest: dict[str, int] = {}
        self._unsure = True
        self._blind = True

    def note(self, scope: str, revision: int) -> None:
        """A scope has a new revision."""
        self._counts[scope] = self._counts.get(scope, 0) + 1
        self._newest[scope] = revision

    def lose(self) -> None:
        """Revisions may come that are not noted, from now on."""
        self._unsure = self._blind = True

    def regain(self) -> None:
        """The newest revisions are known again, and each is noted; some before them may not have been."""
        self._unsure, self._blind = True, False

    def needs(self, scopes: Collection[str], base: int) -> int:
        """The revision that the log must have come to before these scopes may be changed; 0 where they may be at once.

        Args:
            scopes: What is to be changed.
            base: The newest revision of the bucket, of whatever scope.
        """
        if self._unsure:
            return base
        full = [self._newest[scope] for scope in scopes if self._counts.get(scope, 0) >= LIMIT]
        return max(full, default=0)

    def confirm(self, reached: int, base: int) -> None:
        """The log has come to a revision, while the newest of the bucket was `base`."""
        if reached >= base and not self._blind:
            self._unsure = False
        for scope in [scope for scope, newest in self._newest.items() if newest <= reached]:
            del self._newest[scope], self._counts[scope]
