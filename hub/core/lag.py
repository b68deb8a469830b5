"""How far a copy is behind what it is a copy of: in messages, and in the age of the oldest that is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

_MARKS: Final = 1024


class _Mark(NamedTuple):
    sequence: int
    seen: float


class Lag:
    """What was seen of both, as often as they are looked at. All times are monotonic seconds.

    Attributes:
        messages: How many were missing when they were looked at last, at most: a stream may have holes.
    """

    def __init__(self) -> None:
        self.messages = 0
        self._marks: deque[_Mark] = deque()

    def note(self, newest: int, copied: int, now: float) -> None:
        """The original has come to the sequence `newest`, the copy to `copied`."""
        self.messages = max(0, newest - copied)
        while self._marks and self._marks[0].sequence <= copied:
            self._marks.popleft()
        last = self._marks[-1].sequence if self._marks else copied
        if newest > last and len(self._marks) < _MARKS:
            self._marks.append(_Mark(newest, now))

    def seconds(self, now: float) -> float:
        """How long ago the oldest that is missing was seen to be there; 0 where nothing is missing.

        Never more than how old it is. Where more than a thousand looks found the copy behind, it may be less.
        """
        return now - self._marks[0].seen if self._marks else 0.0


def gaps(after: int, revisions: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and last of every row of revisions that is missing in a list that should have each one.

    Args:
        after: What came before the list; 0 where it may begin anywhere.
        revisions: The list, in order. What is not newer than what came before is passed over.
    """
    for revision in revisions:
        if after and revision > after + 1:
            yield after + 1, revision - 1
        after = max(after, revision)
