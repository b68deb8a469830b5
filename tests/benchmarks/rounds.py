"""How long to measure, and how: ours and the baseline in turn, so that what else the machine does meets both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median

Say = Callable[[str], None]
"""Tells whoever watches what is being done."""

Work = Callable[[], Awaitable[float]]
"""Does one round of measuring and returns its figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much is measured. What a quick run gives shows that everything works, and nothing else."""

    rounds: int = 7
    seconds: float = 1.5
    registrations: int = 4000
    beats: int = 100_000
    kills: int = 40
    starts: int = 5
    connections: int = 1000
    watchers: int = 200
    checks: int = 5000
    rollouts: int = 40
    logins: int = 100
    populations: tuple[int, ...] = (1000, 5000, 10_000, 20_000)
    judged: bool = True


FULL = Pace()
QUICK = Pace(
    rounds=1,
    seconds=0.2,
    registrations=100,
    beats=2000,
    kills=2,
    starts=1,
    connections=50,
    watchers=5,
    checks=40,
    rollouts=3,
    logins=10,
    populations=(100, 200, 400, 800),
    judged=False,
)


async def in_turn(what: str, pace: Pace, works: Mapping[str, Work], say: Say) -> dict[str, list[float]]:
    """Let every work do one round, again and again; returns the figures of each by its name."""
    figures: dict[str, list[float]] = {name: [] for name in works}
    for number in range(1, pace.rounds + 1):
        for name, work in works.items():
            figures[name].append(await work())
        shown = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in figures.items())
        say(f"{what}: round {number} of {pace.rounds}: {shown}")
    return figures


def ratio(ours: list[float], baseline: list[float]) -> float:
    """The median of the rounds' own ratios: what slows the machine down for a while cancels out of each."""
    return median(a / b for a, b in zip(ours, baseline, strict=True))


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * round(share * 100) // 100) - 1))]
