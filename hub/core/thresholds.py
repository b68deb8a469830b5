"""When what is seen again and again is worth telling: not the first slip, and not for a moment only."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hub.core.condition import Condition


@dataclass(slots=True)
class Settled:
    """What to say of something that is looked at again and again: only trouble seen `fall` times in a row is told.

    The first look counts by itself, one good look ends any trouble, and trouble that changes is told as it is now.

    Attributes:
        fall: Looks in a row that must find trouble where there was none.
        condition: What to say; None before the first look.
    """

    fall: int = 2
    condition: Condition | None = None
    _in_a_row: int = 0

    def take(self, found: Condition) -> Condition:
        """Take what was found, and return what to say."""
        self._in_a_row = 0 if found.well else self._in_a_row + 1
        if found.well or self.condition is None or not self.condition.well or self._in_a_row >= self.fall:
            self.condition = found
        return self.condition


@dataclass(slots=True)
class Lasting:
    """Whether something has been so for a while. All times are monotonic seconds.

    Attributes:
        after: Seconds that it must last.
    """

    after: float
    _since: float | None = None

    def take(self, so: bool, now: float) -> bool:
        """Take whether it is so now, and return whether it has been for longer than `after`."""
        if not so:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now - self._since > self.after


@dataclass(slots=True)
class Unchanged:
    """Whether something has been the same for a while. All times are monotonic seconds.

    Attributes:
        after: Seconds that it must be the same.
    """

    after: float
    _value: int | None = None
    _since: float = 0.0

    def take(self, value: int, now: float) -> bool:
        """Take what it is now, and return whether it has been that for longer than `after`."""
        if value != self._value:
            self._value, self._since = value, now
        return now - self._since > self.after


@dataclass(slots=True)
class Recent:
    """The largest of what was noted within the last `span` seconds: a moment of trouble, told for a while."""

    span: float
    _noted: deque[tuple[float, float]] = field(default_factory=deque)

    def note(self, value: float, now: float) -> None:
        """Note a value. What is smaller and older will never be the largest again."""
        while self._noted and self._noted[-1][1] <= value:
            self._noted.pop()
        self._noted.append((now, value))

    def peak(self, now: float) -> float:
        """The largest; 0 where nothing was noted."""
        while self._noted and now - self._noted[0][0] > self.span:
            self._noted.popleft()
        return self._noted[0][1] if self._noted else 0.0
