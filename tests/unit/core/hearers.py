"""A hub's hearing for tests: time that passes in steps, and the states that come of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub.core.liveness import Liveness, Verdict
from hub.wire.names import ReportedStatus, Status

STEP = 0.1
A = "engine.a1"
"""The instance of those stories that need only one."""


class Hearer:
    """A `Liveness` with a clock of its own that applies every verdict to `statuses` and `reasons`."""

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        self.liveness = Liveness(start)
        self.statuses: dict[str, Status] = {}
        self.reasons: dict[str, str] = {}
        self.relapses: dict[str, int] = {}
        self.since: dict[str, float] = {}

    def track(self, key: str = A, **given: Any) -> None:
        """Register (`beat=True`) or learn an instance; ttl 6, deregister_after 60, passing by default."""
        values: dict[str, Any] = {
            "kind": "heartbeat",
            "ttl": 6.0,
            "deregister_after": 60.0,
            "status": "passing",
            "relapses": 0,
            "beat": True,
            **given,
        }
        self.liveness.track(key, now=self.now, **values)
        self.statuses[key], self.relapses[key], self.reasons[key] = values["status"], values["relapses"], ""
        self.since[key] = self.now

    def fleet(self, size: int, **given: Any) -> list[str]:
        """Register so many, all with a connection to NATS."""
        keys = [f"engine.i{n}" for n in range(size)]
        for key in keys:
            self.track(key, **given)
            self.liveness.connected(key, self.now)
        return keys

    def beat(self, key: str = A, status: ReportedStatus | None = None, message: str = "") -> Verdict | None:
        return self._apply(self.liveness.beat(key, self.now, status, message))

    def disconnect(self, key: str = A) -> Verdict | None:
        return self._apply(self.liveness.disconnected(key, self.now))

    def tick(self) -> list[Verdict]:
        verdicts = self.liveness.tick(self.now)
        for verdict in verdicts:
            self._apply(verdict)
        return verdicts

    def run(self, seconds: float, beating: Iterable[str] = (), *, every: float = 2.0) -> list[Verdict]:
        """Let time pass in steps of 100 ms; those who are beating do so at once and then `every` so many seconds."""
        verdicts: list[Verdict] = []
        start, beating, beats = self.now, list(beating), 0
        for step in range(1, round(seconds / STEP) + 1):
            self.now = start + step * STEP
            if self.now >= start + beats * every:
                beats += 1
                verdicts += [v for key in beating if (v := self.beat(key)) is not None]
            verdicts += self.tick()
        return verdicts

    def sleep(self, seconds: float) -> None:
        """Let time pass unnoticed."""
        self.now += seconds

    def remove_due(self) -> list[str]:
        """Remove whoever is due, as a leader does."""
        due = self.liveness.due_removals(self.now)
        for key in due:
            self.liveness.removed(key, self.now)
            self.statuses.pop(key)
        return due

    def forget(self, key: str = A) -> None:
        """The instance is deregistered."""
        self.liveness.forget(key)
        self.statuses.pop(key, None)

    def _apply(self, verdict: Verdict | None) -> Verdict | None:
        if verdict is not None:
            if self.statuses[verdict.key] != verdict.status:
                self.since[verdict.key] = self.now
            self.statuses[verdict.key] = verdict.status
            self.reasons[verdict.key] = verdict.reason
            self.relapses[verdict.key] = verdict.relapses
        return verdict


def where(states: Mapping[str, Status], status: Status) -> list[str]:
    """The keys that are in that state."""
    return [key for key, value in states.items() if value == status]


def hearer(**given: Any) -> Hearer:
    """A hub that has heard well for a while, and one instance that has just registered."""
    made = Hearer()
    made.run(10.0)
    made.track(**given)
    return made


def critical_again(hub: Hearer, times: int) -> None:
    """Let the instance fall silent and come back until it is critical for so many times."""
    for _ in range(times):
        hub.run(6.5)
        assert hub.statuses[A] == "critical"
        hub.run(2.0 ** (hub.relapses[A] + 1) + 1.0, [A], every=0.5)
        assert hub.statuses[A] == "passing"
    hub.run(6.5)
