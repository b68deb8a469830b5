"""What one hub has seen of a canary in one scope, and what is to become of it by that. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hub.core.canary import Ruling, Tried, broken, counted, judge
from hub.core.entry import Entry
from hub.core.rollouts import Word
from hub.wire.canary import CanaryState
from hub.wire.configstatus import ConfigRefusal
from hub.wire.names import CRITICAL, SUSPECT

ASK_EVERY: Final = 30.0
"""Seconds after which one who has said nothing of its configuration is asked again."""


class Trial:
    """A canary as one hub has watched it.

    Args:
        canary: What is tried.
        revision: At which the scope is while it is tried, as this hub found it first.
        now: Monotonic seconds; so is every `now` below.
        baked: Seconds for which it has been tried before, by clocks that may have been set meanwhile.

    Attributes:
        is_tried: Whether anybody was ever seen to try it.
    """

    def __init__(self, canary: CanaryState, revision: int, now: float, *, baked: float = 0.0) -> None:
        self.canary = canary
        self.is_tried = False
        self._revision = revision
        self._since = now - counted(baked, canary.bake)
        self._seen = now
        self._idle = 0.0
        self._lonely_since: float | None = None
        self._broken = ""
        self._falls: dict[str, int] = {}
        self._asked: dict[str, float] = {}

    def stands(self, entry: Entry, word: Word | None, wanted: int, *, is_held: bool = False) -> Tried:
        """How one of those who try it is.

        Args:
            entry: The instance.
            word: What it has said that it runs with; None where it has said nothing.
            wanted: The revision that its service should run with.
            is_held: Whether it is silent, and kept because too many are.
        """
        known = self._falls.setdefault(entry.key, entry.falls)
        is_critical = entry.instance.status == CRITICAL
        running = (word.running or 0) if word is not None else 0
        return Tried(
            entry.record.instance_id,
            runs=word is not None and running >= wanted and not is_held and entry.instance.status != SUSPECT,
            refusal=self.blamed(running, word.refused if word is not None else None),
            is_critical=is_critical,
            has_fallen=entry.falls > known or (is_critical and entry.instance.since > self.canary.since),
        )

    def blamed(self, running: int, refused: ConfigRefusal | None) -> ConfigRefusal | None:
        """The refusal, where it is one of the canary: who has run with that refuses what has come since."""
        if refused is None or refused.revision < self._revision or running >= self._revision:
            return None
        return refused

    def note(self, tried: Tried) -> None:
        """One of those who try it was just seen to be so: a rule that it breaks is broken, whatever it is later."""
        self.is_tried = True
        self._broken = self._broken or broken(self.canary.rules, [tried])

    def judged(self, tried: Sequence[Tried], now: float, *, hearing_since: float = 0.0) -> Ruling:
        """What is to become of it, by how all who try it are now.

        Args:
            tried: Those who try it.
            now: The time.
            hearing_since: From when the hub has heard well. What was said before that may not have been heard, so that
                the time does not count, and some has to pass after it.
        """
        self.is_tried = self.is_tried or bool(tried)
        self._broken = self._broken or broken(self.canary.rules, tried)
        passed, self._seen = now - self._seen, now
        if hearing_since > now - passed:
            self._since = now - counted(now - self._since - passed, self.canary.bake)
            self._lonely_since = None
        elif not any(each.runs for each in tried):
            self._idle += passed
        self._lonely_since = None if tried else self._lonely_since or now
        if self._broken:
            return Ruling("roll back", self._broken)
        lonely = now - self._lonely_since if self._lonely_since is not None else 0.0
        return judge(self.canary, tried, now - self._since, lonely, self._idle)

    def asks(self, key: str, now: float) -> bool:
        """Whether one who has said nothing is to be asked now; then it is not asked again for a while."""
        last = self._asked.get(key)
        if last is not None and now - last < ASK_EVERY:
            return False
        self._asked[key] = now
        return True
