"""What every request passes before it is answered, and what is told of it afterwards, where identities are proven.

One gate stands before the subjects on NATS and before the HTTP routes, which ask the same subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hub.wire.roles import Caller


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: who asks what of which subject."""

    caller: Caller
    subject: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Unproven:
    """One request of somebody who has not proven who he is, or did not have to."""

    subject: str
    payload: bytes

    @property
    def caller(self) -> None:
        """Nobody knows."""
        return None


class Guard(Protocol):
    """Lets requests through, or refuses them. It decides at once: nothing is awaited before a request is admitted."""

    def admit(self, asked: Asked) -> None:
        """Let it through.

        Raises:
            HubError: it is refused.
        """


class Witness(Protocol):
    """Is told how each request ended. It keeps what it is told within bounds, and never fails."""

    def saw(self, asked: Asked | Unproven, outcome: str) -> None:
        """It ended: `ok`, or with the code of an error."""


class Gate:
    """Guards in the order in which they are asked, and witnesses.

    Args:
        guards: Each of them can refuse a request.
        witnesses: Each of them is told of every request, refused ones too.
    """

    def __init__(self, guards: Sequence[Guard] = (), witnesses: Sequence[Witness] = ()) -> None:
        self._guards = tuple(guards)
        self._witnesses = tuple(witnesses)

    def after(self, guard: Guard) -> Gate:
        """The same, with another guard that is asked before all others."""
        return Gate((guard, *self._guards), self._witnesses)

    def tell(self, witness: Witness) -> None:
        """Tell one more witness from now on."""
        self._witnesses += (witness,)

    def admit(self, asked: Asked) -> None:
        """Let a request through. Raises as the first guard does that refuses it."""
        for guard in self._guards:
            guard.admit(asked)

    def saw(self, asked: Asked | Unproven, outcome: str) -> None:
        """Tell the witnesses how it ended."""
        for witness in self._witnesses:
            witness.saw(asked, outcome)
