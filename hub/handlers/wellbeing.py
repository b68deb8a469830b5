"""How this hub itself is: its tasks, its NATS, and what it depends on, in one place for all who ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from hub.core.condition import IN_HEALTH, Condition, together, warning
from hub.handlers.dependencies import Dependency
from hub.handlers.nats import NatsCheck
from hub.handlers.supervisor import Supervisor
from hub.transport.loops import Loop
from hub.wire.names import CRITICAL

NOT_CONFIGURED = "not_configured"


class Wellbeing:
    """What is known of the hub's own health. Everything here answers at once, from what was found before.

    Args:
        supervisor: Keeps the tasks.
        nats: Looks at NATS.
        dependencies: Those that are configured.
        doubt: Why the hub doubts what it hears, if it does.
        files: How the files are that it is given: configuration, components, certificates.
        secrets: How what it keeps for security is: its secrets, and the audit.
        limits: How its rate limits are.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        nats: NatsCheck,
        dependencies: Sequence[Dependency],
        doubt: Callable[[], str | None],
        files: Callable[[], Condition],
        secrets: Callable[[], Condition],
        limits: Callable[[], Condition],
    ) -> None:
        self._supervisor = supervisor
        self._nats = nats
        self._dependencies = {each.name: each for each in dependencies}
        self._doubt = doubt
        self._files = files
        self._secrets = secrets
        self._limits = limits

    def loops(self) -> Iterator[tuple[str, Loop, float]]:
        """What looks at all that: the name of each loop, the loop, and the bound after which it counts as stuck."""
        yield "check-nats", self._nats.watch, self._nats.bound
        for name, dependency in self._dependencies.items():
            yield f"check-{name}", dependency.watch, dependency.bound

    def hub(self) -> Condition:
        """How the hub itself is."""
        return together([self._own(), warning(self._doubt() or "")])

    def parts(self) -> dict[str, Callable[[], Condition]]:
        """How each part is, by the name under which it is reported on; what is not configured is not reported on."""
        parts: dict[str, Callable[[], Condition]] = {"hub": self.hub, "nats": lambda: self._nats.condition}
        for name, dependency in self._dependencies.items():
            parts[name] = partial(_condition, dependency)
        return parts

    def checks(self) -> dict[str, str]:
        """How each part is, in the words of `/health`. Doubt alone is none of its troubles: every start has it."""
        found = dict.fromkeys(("database", "cache", "kafka"), NOT_CONFIGURED)
        conditions = {name: look() for name, look in self.parts().items()} | {"hub": self._own()}
        return found | {name: IN_HEALTH[condition.status] for name, condition in conditions.items()}

    def details(self) -> dict[str, Any]:
        """Why, in the words of operators."""
        dependencies = {name: each.describe() for name, each in self._dependencies.items()}
        status, reason = self._nats.condition
        dependencies["nats"] = {
            "status": IN_HEALTH[status],
            "reason": reason,
            "latency": self._nats.round_trip,
            **self._nats.describe(),
        }
        return {"reason": self.hub().reason, "tasks": self._supervisor.describe(), "dependencies": dependencies}

    def labelled(self) -> dict[str, Callable[[], Mapping[str, float]]]:
        """The metrics with a label, by their name in the catalogue."""
        return {
            "hub_dependency_up": self._up,
            "hub_dependency_latency_seconds": self._latencies,
            "hub_task_restarts_total": lambda: self._supervisor.restarts,
            "hub_task_beat_age_seconds": self._supervisor.beat_ages,
            **self._nats.labelled(),
        }

    def plain(self) -> dict[str, Callable[[], float]]:
        """The metrics without one."""
        return self._nats.plain()

    def _own(self) -> Condition:
        return together([self._supervisor.condition, self._files(), self._secrets(), self._limits()])

    def _up(self) -> Mapping[str, bool]:
        known = {name: each.condition for name, each in self._dependencies.items() if each.looked_at}
        return {name: each.status != CRITICAL for name, each in {**known, "nats": self._nats.condition}.items()}

    def _latencies(self) -> Mapping[str, float]:
        found = {name: each.latency for name, each in self._dependencies.items()} | {"nats": self._nats.round_trip}
        return {name: seconds for name, seconds in found.items() if seconds is not None}


def _condition(dependency: Dependency) -> Condition:
    return dependency.condition
