"""How a part of the hub is: a status, and a few words for operators where it is not well."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from hub.wire.names import CRITICAL, PASSING, WARNING, Status


class Condition(NamedTuple):
    """How something is. The reason is empty while it is passing.

    Attributes:
        status: passing; warning where it serves, but not as it should; critical where it does not serve.
        reason: Why it is not passing.
    """

    status: Status = PASSING
    reason: str = ""

    @property
    def well(self) -> bool:
        """Whether there is nothing to say."""
        return self.status == PASSING


WELL: Final = Condition()
IN_HEALTH: Final[dict[Status, str]] = {PASSING: "healthy", WARNING: "degraded", CRITICAL: "unhealthy"}
"""The words of `/health` for a status."""


def warning(reason: str) -> Condition:
    """It serves, but not as it should; passing where there is no reason."""
    return Condition(WARNING, reason) if reason else WELL


def critical(reason: str) -> Condition:
    """It does not serve."""
    return Condition(CRITICAL, reason)


def together(conditions: Iterable[Condition]) -> Condition:
    """How the whole is: as bad as the worst of its parts, for the reasons of all that are not well, worst first."""
    found = [condition for condition in conditions if not condition.well]
    if not found:
        return WELL
    found.sort(key=lambda condition: condition.status != CRITICAL)
    return Condition(found[0].status, "; ".join(condition.reason for condition in found))
