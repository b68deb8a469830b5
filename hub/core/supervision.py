"""The rules by which a background task is watched over: when it is stuck, when it is started again, when to despair."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

from hub.core.condition import WELL, Condition, critical, warning

STEADY_AFTER: Final = 30.0
"""Seconds that a task must live and beat after a start for its failures before to be over."""
TOO_OFTEN: Final = 5
"""Failures in a row, each before the task was steady, at which restarting it is not thought to help any more."""
PATIENCE: Final = 5.0
"""Seconds that a cancelled task has for ending. Then it is cancelled again, and the hub takes it to be beyond help."""
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 10.0
_GROWTH: Final = 4.0

State = Literal["running", "recovering", "restarting", "stuck", "failing"]
"""`running`: all is well. `recovering`: it runs again, but not for long enough to be trusted. `restarting`: it ended,
and waits to be started. `stuck`: it gave no sign of life and was cancelled, and has not ended yet. `failing`: it keeps
failing, or does not end when it is cancelled; trying goes on, but to restart the process may be the better cure."""


class Step(Enum):
    """What to do about a task now."""

    LEAVE = "leave it alone"
    CANCEL = "cancel it"
    START = "start it"


def wait_before(failures: int) -> float:
    """Seconds before the next start after so many failures in a row: hardly any at first, 10 s in the end."""
    return min(_LONGEST_WAIT, _FIRST_WAIT * _GROWTH ** min(failures - 1, TOO_OFTEN))


class Vigil:
    """The watch over one task, which is there at most once. All times are seconds of one monotonic clock.

    Args:
        bound: Seconds without a sign of life after which it counts as stuck.
        now: When it was started first.

    Attributes:
        last_error: Why it ended last; empty where it never did.
    """

    __slots__ = ("_beaten", "_bound", "_cancelled", "_failures", "_first_cancelled", "_next", "_started", "last_error")

    def __init__(self, bound: float, now: float) -> None:
        self._bound = bound
        self._failures = 0
        self._next: float | None = None
        self._cancelled: float | None = None
        self._first_cancelled: float | None = None
        self.last_error = ""
        self.started(now)

    def started(self, now: float) -> None:
        """It was started; that is its first sign of life."""
        self._started = self._beaten = now
        self._next = self._cancelled = self._first_cancelled = None

    def beat(self, now: float) -> None:
        """It gave a sign of life. One that was cancelled for want of it, and goes on all the same, is alive again."""
        self._beaten = now
        self._cancelled = self._first_cancelled = None

    def cancelled(self, now: float) -> None:
        """It was cancelled for giving no sign of life."""
        if self._first_cancelled is None:
            self._first_cancelled = now
            self.last_error = f"no sign of life for {now - self._beaten:.1f} s"
        self._cancelled = now

    def ended(self, now: float, cause: str) -> None:
        """It ended, by failing or after it was cancelled; in the latter case the cause is what led to that."""
        if self._first_cancelled is None:
            self.last_error = cause
        steady = self._beaten - self._started >= STEADY_AFTER
        self._failures = 1 if steady else self._failures + 1
        self._next = now + wait_before(self._failures)
        self._cancelled = self._first_cancelled = None

    def stood_still(self, seconds: float, now: float) -> None:
        """Nothing ran for so long until now, so that nobody could give a sign of life: it does not count."""
        self._beaten = min(now, self._beaten + seconds)

    def age(self, now: float) -> float:
        """Seconds since its last sign of life."""
        return max(0.0, now - self._beaten)

    def step(self, now: float) -> Step:
        """What is to be done now."""
        if self._next is not None:
            return Step.START if now >= self._next else Step.LEAVE
        if self._cancelled is not None:
            return Step.CANCEL if now - self._cancelled >= PATIENCE else Step.LEAVE
        return Step.CANCEL if self.age(now) > self._bound else Step.LEAVE

    def state(self, now: float) -> State:
        """How it is."""
        if self._first_cancelled is not None:
            return "failing" if self._stubborn(now) else "stuck"
        steady = self._next is None and now - self._started >= STEADY_AFTER
        if not self._failures or steady:
            return "running"
        if self._failures >= TOO_OFTEN:
            return "failing"
        return "recovering" if self._next is None else "restarting"

    def condition(self, name: str, now: float) -> Condition:
        """The same in words for operators."""
        match self.state(now):
            case "running":
                return WELL
            case "recovering":
                return warning(f"the task {name} was restarted ({self.last_error})")
            case "restarting":
                return warning(f"the task {name} ended ({self.last_error}) and is being restarted")
            case "stuck":
                return warning(f"the task {name} is stuck ({self.last_error}) and is being restarted")
            case "failing" if self._stubborn(now):
                return critical(f"the task {name} is stuck ({self.last_error}) and does not end when it is cancelled")
            case _:
                return critical(f"the task {name} keeps failing ({self.last_error})")

    def _stubborn(self, now: float) -> bool:
        return self._first_cancelled is not None and now - self._first_cancelled >= PATIENCE
