"""Where one check stands, and what each look at it makes of that.

A check begins unknown, passes after enough successes in a row and fails after enough failures in a row, to begin with
as well. Flapping is damped as for instances (see `damping`): who fails again soon after a recovery has to succeed for
longer each time, without a failure in between, before it passes again.

A state is news when it begins. What is found while it lasts is told again only when it says something else than before,
and not more often than every `RETELL` seconds: a check that fails in other words each time is still one failure.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Final

import msgspec

from hub.core.damping import MEMORY, probation, relapses_now
from hub.wire.checks import CheckState, Probe, name_of
from hub.wire.names import PASSING, ReportedStatus

RETELL: Final = 30.0
"""Seconds for which a state's output stays as it was told, whatever else is found."""
MAX_OUTPUT: Final = 256

_LAST: Final = datetime.max.replace(tzinfo=UTC) - timedelta(microseconds=1)
"""The last moment that another can follow. Time never comes to it, but a stranger may tell of it."""
_MEASURED = re.compile(r"\d+(?:[.,]\d+)?\s?(?:[µmn]?s|[KMG]?i?B|bytes)\b")


class Standing:
    """One check as its owner sees it. All times are monotonic seconds; `wall` is the time of day, only to be shown.

    Attributes:
        state: What was last told of it; None as long as it is unknown.
        failures: How many looks in a row have failed, up to the latest.
    """

    __slots__ = (
        "_check",
        "_recovered",
        "_relapses",
        "_succeeding_since",
        "_successes",
        "_told",
        "failures",
        "state",
    )

    def __init__(self, check: Probe) -> None:
        self._check = check
        self.state: CheckState | None = None
        self.failures = 0
        self._successes = 0
        self._succeeding_since = inf
        self._relapses = 0
        self._recovered: float | None = None
        self._told = -inf

    @property
    def passes(self) -> bool:
        """Whether it is known to pass."""
        return self.state is not None and self.state.status == PASSING

    def adopt(self, state: CheckState, now: float) -> None:
        """Another owner has found this; go on from there. That alone is no news, and starts no row anew."""
        before, self.state = self.state, state
        self._told = now
        if state.flapping and not self._relapses:
            self._relapses = 1  # at least; more is not told
        if state.status == PASSING and state.flapping and (before is None or before.status != PASSING):
            self._recovered = now  # unknown how long ago; its quiet time begins here

    def is_older_than(self, state: CheckState) -> bool:
        """Whether that state began later than the one that is known here."""
        return self.state is None or self.state.since < state.since

    def is_about_to_fail(self) -> bool:
        """Whether one more failure ends its passing."""
        return self.passes and self.failures + 1 >= self._check.failures_before_critical

    def observe(self, ok: bool, output: str, now: float, wall: datetime, *, keep: bool = False) -> CheckState | None:
        """It was looked at. Returns its state where that is news.

        Args:
            ok: Whether it was found as it should be.
            output: What was found, in a few words.
            now: The time.
            wall: The time of day.
            keep: A check that passes is not to fail yet, whatever is found.
        """
        output = output[:MAX_OUTPUT]
        if ok:
            return self._succeed(output, now, wall)
        return self._fail(output, now, wall, keep=keep)

    def _succeed(self, output: str, now: float, wall: datetime) -> CheckState | None:
        self.failures = 0
        self._successes += 1
        if self._successes == 1:
            self._succeeding_since = now
        if self.passes:
            return self._forgive(output, now, wall) or self._tell_again(output, now)
        due = probation(self._relapses)
        if self._successes >= self._check.successes_before_passing and now - self._succeeding_since >= due:
            if self.state is not None:
                self._recovered = now
            return self._tell(PASSING, output, now, wall)
        if self.state is not None and self._relapses:
            return self._tell_again(self._damped(output), now)
        return None

    def _fail(self, output: str, now: float, wall: datetime, *, keep: bool) -> CheckState | None:
        self._successes = 0
        self.failures += 1
        if self.state is not None and not self.passes:
            if self.state.status != self._check.severity and self.failures >= self._check.failures_before_critical:
                return self._tell(self._check.severity, self._damped(output), now, wall)  # it was declared anew
            return self._tell_again(self._damped(output), now)
        if self.failures < self._check.failures_before_critical or (keep and self.passes):
            return None
        if self.state is not None:
            self._relapses = relapses_now(self._relapses, self._recovered, now)
        return self._tell(self._check.severity, self._damped(output), now, wall)

    def _forgive(self, output: str, now: float, wall: datetime) -> CheckState | None:
        """Its relapses are forgotten once it has passed for long enough."""
        if not self._relapses or self._recovered is None or now - self._recovered <= MEMORY:
            return None
        assert self.state is not None
        self._relapses = 0
        self.state = msgspec.structs.replace(self.state, output=output, flapping=False)
        self._told = now
        return self.state

    def _damped(self, output: str) -> str:
        """What was found, and how long it has to succeed, where that is for longer than usual."""
        if not self._relapses:
            return output
        return f"flapping: passing again after {probation(self._relapses):g} s of success; {output}"

    def _tell(self, status: ReportedStatus, output: str, now: float, wall: datetime) -> CheckState:
        self._told = now
        if self.state is not None and wall <= self.state.since:  # told by a hub whose clock is ahead
            wall = min(self.state.since, _LAST) + timedelta(microseconds=1)
        self.state = CheckState(
            name=name_of(self._check), status=status, output=output, since=wall, flapping=self._relapses > 0
        )
        return self.state

    def _tell_again(self, output: str, now: float) -> CheckState | None:
        """The state lasts, and this was found."""
        assert self.state is not None
        self.state, is_news = retold(self.state, output, now - self._told)
        if is_news:
            self._told = now
        return self.state if is_news else None


def retold(state: CheckState, output: str, age: float) -> tuple[CheckState, bool]:
    """A state that lasts, with what is found now, and whether that is worth telling `age` seconds after it was told."""
    if age < RETELL or not differs(state.output, output):
        return state, False
    return msgspec.structs.replace(state, output=output), True


def differs(output: str, other: str) -> bool:
    """Whether one says something else than the other, beside how long something took or how large it was."""
    return output != other and _MEASURED.sub("#", output) != _MEASURED.sub("#", other)
