"""Checks that the service itself reports on: nobody probes, every replica hears the reports and minds the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Final, NamedTuple

from hub.core.checks import retold
from hub.core.deadlines import Deadlines
from hub.wire.checks import CheckReport, CheckState, TtlCheck, name_of
from hub.wire.names import PASSING, ReportedStatus

Wall = Callable[[], datetime]

_SILENCE: Final = "no report"


class Found(NamedTuple):
    """News of one check of one instance."""

    key: str
    state: CheckState


@dataclass(slots=True)
class _Awaited:
    """One check. `heard` is when it was last reported on, or declared; `told` when its state was last news."""

    check: TtlCheck
    heard: float
    state: CheckState | None
    told: float = -inf


class TtlChecks:
    """The `ttl` checks of all instances. All times are monotonic seconds.

    A check fails when `now > max(its last report, hearing_since) + ttl`; `hearing_since` is when this hub began to hear
    well, so that after its own deafness nobody fails before a full ttl. Declared and not yet reported on, it passes.
    """

    def __init__(self) -> None:
        self._awaited: dict[str, dict[str, _Awaited]] = {}
        self._due = Deadlines()

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: object) -> bool:
        return key in self._awaited

    def declare(
        self, key: str, checks: Iterable[TtlCheck], stored: Mapping[str, CheckState], now: float, wall: datetime
    ) -> list[Found]:
        """The `ttl` checks of an instance, in place of those it had. Returns what is news of them.

        Of two tellings of the same status the stored one counts, so that all replicas tell the same.

        Args:
            key: `<service>.<instance>`.
            checks: Its checks, of this kind alone.
            stored: What is stored of its checks, by name.
            now: The time.
            wall: The time of day.
        """
        before = self._awaited.get(key, {})
        self.forget(key)
        found: list[Found] = []
        for check in checks:
            name = name_of(check)
            known, told = before.get(name), stored.get(name)
            awaited = _Awaited(check, known.heard if known else now, known.state if known else told)
            awaited.told = known.told if known else -inf
            self._awaited.setdefault(key, {})[name] = awaited
            self._due.set(_id(key, name), awaited.heard + check.ttl)
            if awaited.state is None:
                found.append(_tell(key, awaited, PASSING, "not reported on yet", now, wall))
            elif told is not None and told != awaited.state and told.status == awaited.state.status:
                awaited.state = told
                found.append(Found(key, told))
        return found

    def forget(self, key: str) -> None:
        """The instance is not registered any more."""
        for name in self._awaited.pop(key, {}):
            self._due.drop(_id(key, name))

    def report(self, key: str, reports: Mapping[str, CheckReport], now: float, wall: Wall) -> list[Found]:
        """An instance reports on its checks. Returns what is news; of checks that it has not declared there is none."""
        found: list[Found] = []
        declared = self._awaited.get(key, {})
        for name, report in reports.items():
            awaited = declared.get(name)
            if awaited is None:
                continue
            awaited.heard = now
            self._due.set(_id(key, name), now + awaited.check.ttl)
            output = f"reported by the service: {report.message}" if report.message else "reported by the service"
            state = awaited.state
            if state is None or state.status != report.status or _is_silence(state):
                found.append(_tell(key, awaited, report.status, output, now, wall()))
                continue
            awaited.state, is_news = retold(state, output, now - awaited.told)
            if is_news:
                awaited.told = now
                found.append(Found(key, awaited.state))
        return found

    def tick(self, now: float, hearing_since: float, wall: Wall) -> list[Found]:
        """Time has passed. Returns the checks that have become silent for too long."""
        found: list[Found] = []
        for each in self._due.pop_due(now):
            key, _, name = each.partition("/")
            awaited = self._awaited[key][name]
            due = max(awaited.heard, hearing_since) + awaited.check.ttl
            if due >= now:
                self._due.set(each, due)
            elif (
                awaited.state is None
                or not _is_silence(awaited.state)
                or awaited.state.status != awaited.check.severity  # it was declared anew
            ):
                words = f"{_SILENCE} for {now - awaited.heard:.0f} s"
                found.append(_tell(key, awaited, awaited.check.severity, words, now, wall()))
        return found


def _tell(key: str, awaited: _Awaited, status: ReportedStatus, output: str, now: float, wall: datetime) -> Found:
    before = awaited.state
    since = before.since if before is not None and before.status == status else wall
    awaited.state = CheckState(name=name_of(awaited.check), status=status, output=output, since=since)
    awaited.told = now
    return Found(key, awaited.state)


def _is_silence(state: CheckState) -> bool:
    """Whether it was found by the lack of reports, here or by another replica."""
    return state.status != PASSING and state.output.startswith(_SILENCE)


def _id(key: str, name: str) -> str:
    return f"{key}/{name}"
