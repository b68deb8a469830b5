"""What one look at an instance or a dependency found."""

from __future__ import annotations

from typing import NamedTuple, Protocol

LONGEST_OUTPUT = 256
"""Characters of what was found that are worth keeping."""


class Outcome(NamedTuple):
    """What was found.

    Attributes:
        ok: Whether it is as expected.
        output: What was found, in a few words without secrets: `200 OK`, `connection refused`, `no answer within 3 s`.
        seconds: How long it took.
    """

    ok: bool
    output: str
    seconds: float


class Prober(Protocol):
    """Looks, again and again. Looking never raises, save when it is cancelled, and ends within its timeout."""

    async def __call__(self) -> Outcome:
        """Look once."""
