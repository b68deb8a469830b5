"""Who runs with which revision of its configuration, by what the instances say in their beats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final, Literal, NamedTuple

from hub.wire.configstatus import (
    ConfigRefusal,
    InstanceConfig,
    Verdict,
)

PATIENCE: Final = 10.0
"""Seconds that an instance has to say that it runs with a new revision, or refuses it; then it lags."""
REMIND_EVERY: Final = 5.0
"""Seconds between two reminders of one instance."""


class Word(NamedTuple):
    """What an instance has said of itself."""

    running: int | None
    since: datetime
    """When it first said that it runs with this."""
    refused: ConfigRefusal | None = None
    reminded: float = 0.0
    """When it was reminded last, by the hub's clock."""

    @property
    def settled(self) -> int:
        """The newest revision that it has answered, in whichever way."""
        return max(self.running or 0, self.refused.revision if self.refused else 0)


Step = Literal["applied", "refused"]


class Rollouts:
    """What instances have said, by their keys; and since when each service is to run with something new."""

    def __init__(self) -> None:
        self._words: dict[str, Word] = {}
        self._wanted: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._words)

    def want(self, service: str, revision: int, now: float) -> None:
        """The service should run with this revision from now on."""
        if self._wanted.get(service, (0, 0.0))[0] != revision:
            self._wanted[service] = revision, now

    def hear(self, key: str, running: int | None, refused: ConfigRefusal | None, wall: datetime) -> Step | None:
        """An instance has said what it runs with, or what it has refused. Returns what is new in it."""
        known = self._words.get(key)
        if running is None and refused is None:
            return None
        if refused is not None and running is not None and refused.revision <= running:
            refused = None  # what it runs with now is newer
        if known is not None and (known.running, known.refused) == (running, refused):
            return None
        is_same = known is not None and known.running == running
        since = known.since if known is not None and is_same else wall
        reminded = known.reminded if known is not None else 0.0
        self._words[key] = Word(running, since, refused, reminded)
        if refused is not None and (known is None or known.refused != refused):
            return "refused"
        return None if is_same or running is None else "applied"

    def forget(self, keys: Iterable[str]) -> None:
        """These instances are gone."""
        for key in keys:
            self._words.pop(key, None)

    def __iter__(self) -> Iterator[str]:
        """The keys of everybody who has said something."""
        return iter(self._words)

    def word(self, key: str) -> Word | None:
        """What an instance has said; None where it has said nothing."""
        return self._words.get(key)

    def runs(self, key: str, revision: int) -> bool:
        """Whether an instance has said that it runs with this revision, or a newer one."""
        word = self._words.get(key)
        return word is not None and (word.running or 0) >= revision

    def counts(self, now: float) -> dict[Verdict, int]:
        """How many of those who have said something stand how."""
        found: dict[Verdict, int] = dict.fromkeys(("applied", "pending", "refused", "lagging"), 0)
        for key, word in self._words.items():
            wanted, since = self._wanted.get(key.partition(".")[0], (0, now))
            found[_verdict(word, wanted, now - since)] += 1
        return found

    def stands(self, service: str, instance_id: str, key: str, now: float) -> InstanceConfig:
        """How an instance stands to what its service should run with."""
        word = self._words.get(key)
        if word is None:
            return InstanceConfig(instance_id=instance_id, verdict="unknown")
        wanted, since = self._wanted.get(service, (0, now))
        return InstanceConfig(
            instance_id=instance_id,
            verdict=_verdict(word, wanted, now - since),
            running=word.running,
            since=word.since,
            refused=word.refused,
        )

    def to_remind(self, keys: Iterable[str], wanted: Callable[[str], int], now: float) -> Iterator[str]:
        """Those of the keys who are behind and have said nothing for too long, each once in `REMIND_EVERY`.

        Args:
            keys: Whom to look at.
            wanted: The revision that a service should run with.
            now: The time.
        """
        for key in keys:
            word = self._words.get(key)
            if word is None:
                continue
            service = key.partition(".")[0]
            if word.settled >= wanted(service):
                continue
            since = self._wanted.get(service, (0, now))[1]
            if now - max(since, word.reminded) >= REMIND_EVERY:
                self._words[key] = word._replace(reminded=now)
                yield key


def _verdict(word: Word, wanted: int, waited: float) -> Verdict:
    if word.refused is not None and word.refused.revision >= wanted:
        return "refused"
    if (word.running or 0) >= wanted:
        return "applied"
    return "pending" if waited < PATIENCE else "lagging"
