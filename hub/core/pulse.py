"""The state of one instance, and what each thing that happens to it makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import NamedTuple

from hub.core.damping import probation, relapses_now
from hub.wire.checks import CONNECTION, HEARTBEAT, REPORT
from hub.wire.names import CRITICAL, PASSING, SUSPECT, WARNING, Liveness, ReportedStatus, Status


class Verdict(NamedTuple):
    """A decided change of one instance's state.

    Attributes:
        key: `<service>.<instance>`.
        status: passing, warning, suspect or critical.
        reason: A few words for operators; empty when it is passing.
        relapses: How often it became critical again soon after it had recovered.
        check: What says so: `heartbeat`, `connection` or `report`; empty when it is passing.
    """

    key: str
    status: Status
    reason: str
    relapses: int
    check: str = ""


@dataclass(slots=True, eq=False)
class Pulse:
    """One instance as this hub hears it. All times are monotonic seconds.

    Attributes:
        status, reason, check, relapses: What was decided or adopted last; reason and check are empty where the store's
            was adopted.
        heard: Its last sign of life; when it was learnt, as long as there is none.
        beats: Whether its silence means anything: it promised to beat, or it has beaten.
        calm: Whether a beat that says nothing new changes nothing, so that it need not be looked at.
        suspect: Its connection is gone and it has not beaten since.
        silent: It is critical by silence, found here or elsewhere, and has not beaten since.
        silent_since: When that was found.
        failing: One of its checks says that it is critical, and nothing excuses that.
        failing_since: When that began.
        renewed: Which of its registrations that was told with; only ever compared.
        patience: Seconds for which its checks may succeed by now, and yet say so.
        reported, message: What its beats say of it, until they say otherwise or it falls silent.
        inherited: A stored `warning`, which only the instance can have reported; until a beat makes `reported` known.
        behaving_since: The first beat of its probation; None outside one.
        recovered: When it last left critical.
    """

    key: str
    kind: Liveness
    ttl: float
    deregister_after: float
    status: Status
    relapses: int
    heard: float
    beats: bool
    reason: str = ""
    check: str = ""
    calm: bool = False
    suspect: bool = False
    silent: bool = False
    silent_since: float = inf
    failing: bool = False
    failing_since: float = inf
    renewed: datetime | None = None
    patience: float = 0.0
    reported: ReportedStatus | None = None
    message: str = ""
    inherited: ReportedStatus | None = None
    behaving_since: float | None = None
    recovered: float = -inf

    @property
    def is_removable(self) -> bool:
        """Whether being critical for long enough leads to its removal: by the way in which it is to show its life."""
        return self.failing if self.kind == "probe" else self.silent and self.kind == "heartbeat"

    @property
    def critical_since(self) -> float:
        """Since when it is critical in that way."""
        return self.failing_since if self.kind == "probe" else self.silent_since

    @property
    def kept_for(self) -> float:
        """Seconds that it may be critical in that way before it is removed."""
        return self.deregister_after + (self.patience if self.kind == "probe" else 0.0)

    def configure(self, kind: Liveness, ttl: float, deregister_after: float) -> None:
        """What it registered with."""
        if kind != self.kind:
            self.beats = kind == "heartbeat"
            self.silent = self.silent and self.beats  # of who is not to beat it means nothing
        self.kind, self.ttl, self.deregister_after = kind, ttl, deregister_after

    def adopt(self, status: Status, relapses: int, now: float) -> None:
        """The stored state is the truth, until something is heard that says otherwise.

        That an instance is stored as better than critical means that some replica has heard it live, so its silence
        here begins anew.
        """
        if (status, relapses) == (self.status, self.relapses):
            return
        if status == CRITICAL and self.status != CRITICAL:
            self.silent, self.silent_since = True, now
        elif status != CRITICAL and self.status == CRITICAL:
            self.heard, self.silent, self.behaving_since = now, False, None
            if self.reported != CRITICAL:
                self.recovered = now
        if relapses > self.relapses and status != CRITICAL:
            self.recovered = now  # unknown how long ago; its quiet time begins here
        self.suspect = status == SUSPECT
        self.inherited = WARNING if status == WARNING else None
        self.status, self.relapses, self.reason, self.check = status, relapses, "", ""

    def suspend(self) -> None:
        """Its own connection is gone."""
        self.suspect, self.calm = True, False

    def hear(self, now: float, status: ReportedStatus | None = None, message: str = "") -> None:
        """A sign of life."""
        self.heard = now
        self.suspect = self.silent = False
        if status is not None and status != self.reported:
            self.reported, self.message = status, message
        if self.reported is not None:
            self.inherited = None

    def expire(self, now: float) -> None:
        """It has been silent for too long. What it said before that counts no more."""
        self.silent, self.silent_since = True, now
        self.reported = self.inherited = None
        self.calm = False

    def settle(self, now: float, silence: str = "") -> Verdict | None:
        """Decide its state anew. Returns the change; None where there is none.

        Args:
            now: The time.
            silence: What to tell operators of its silence, where that has just been found.
        """
        target, reason, check = self._judge(silence)
        relapses = self.relapses
        if target == CRITICAL != self.status:
            relapses = relapses_now(relapses, self.recovered, now)
        elif target != CRITICAL == self.status:
            self.recovered = now
        self.calm = self.beats and not self._is_pending
        same = target == self.status and (target != CRITICAL or reason == self.reason)
        if same and relapses == self.relapses:
            return None
        self.status, self.reason, self.check, self.relapses = target, reason, check, relapses
        return Verdict(self.key, target, reason, relapses, check)

    @property
    def _is_pending(self) -> bool:
        """Whether its next beat may change its state, even if it says nothing new."""
        if self.silent or self.suspect or self.behaving_since is not None:
            return True
        return self.inherited is not None and self.reported is not None

    def forgive(self) -> Verdict | None:
        """It has been well for long enough that its relapses are forgotten."""
        if self.status == CRITICAL or self.relapses == 0:
            return None
        self.relapses = 0
        return Verdict(self.key, self.status, self.reason, 0, self.check)

    def _judge(self, silence: str) -> tuple[Status, str, str]:
        if self.silent:
            self.behaving_since = None
            return CRITICAL, silence or self.reason, HEARTBEAT
        if self.reported == CRITICAL:
            self.behaving_since = None
            return CRITICAL, self._told(), REPORT
        if self.status == CRITICAL and self.beats:  # who does not beat could never show that it behaves
            due = probation(self.relapses)
            if self.behaving_since is None:
                self.behaving_since = self.heard
            if self.heard < self.behaving_since + due:
                return CRITICAL, f"flapping: passing again after {due:g} s of good behaviour", HEARTBEAT
            self.behaving_since = None
        if self.suspect:
            return SUSPECT, "connection lost", CONNECTION
        said = self.inherited or self.reported or PASSING
        return (said, "", "") if said == PASSING else (said, self._told(), REPORT)

    def _told(self) -> str:
        return f"reported by the service: {self.message}" if self.message else "reported by the service"
