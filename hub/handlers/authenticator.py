"""Who somebody is, whichever door he comes to: asked by the callout of NATS and by the HTTP face."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hub.errors import Unauthenticated, Unavailable
from hub.handlers.clock import Clock
from hub.identity.proof import Presented, Proof, Verifier


class Revoked(Unauthenticated):
    """It was good, and counts no more."""


class Authenticator:
    """Asks what knows credentials, in turn.

    Args:
        verifiers: Each knows one kind; the first that has something to say decides.
        revoked: Whether a proof counts no more.
        clock: Where to read the time.
    """

    def __init__(self, verifiers: Sequence[Verifier], revoked: Callable[[Proof], bool], clock: Clock) -> None:
        self._verifiers = tuple(verifiers)
        self._revoked = revoked
        self._clock = clock

    def recognise(self, verifiers: Sequence[Verifier]) -> None:
        """Ask these from now on, in place of those before."""
        self._verifiers = tuple(verifiers)

    def holds(self, proof: Proof) -> bool:
        """Whether what was proven still is: it has not expired, and nobody has revoked it, as far as that is known."""
        now = self._clock.wall().timestamp()
        try:
            return (proof.expires is None or now < proof.expires) and not self._revoked(proof)
        except Unavailable:  # who is in stays in, as on NATS
            return proof.expires is None or now < proof.expires

    async def prove(self, presented: Presented) -> Proof:
        """Who presents this.

        Raises:
            Unauthenticated: it proves nothing, or no more (`Revoked`). The message is for the log; strangers are not
                told more than that.
            Unavailable: it cannot be told now.
        """
        now = self._clock.wall().timestamp()
        for verifier in self._verifiers:
            proof = await verifier.verify(presented, now)
            if proof is None:
                continue
            if self._revoked(proof):
                raise Revoked(f"{proof.credential} of {proof.caller}: revoked")
            return proof
        raise Unauthenticated("no credential that is known here: a token, a key, an nkey or a certificate was expected")
