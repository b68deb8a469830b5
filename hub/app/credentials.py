"""What a hub knows of API keys, revocations and failed logins, and who tells by that who somebody is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from hub.core.apikeys import ApiKeys
from hub.core.guessing import Guesses
from hub.core.revocations import Revocations
from hub.errors import Unavailable
from hub.handlers.clock import Clock
from hub.handlers.guessing import Slowed
from hub.identity.apikeys import ApiKeyVerifier
from hub.identity.proof import Proof, Verifier
from hub.wire.admitted import Admitted

_KEY: Final = "key:"


class Credentials:
    """What is in memory of them; `Admission` fills it from the store.

    Args:
        clock: Where to read the time.

    Attributes:
        keys: The API keys.
        revocations: What was revoked.
        authenticator: Tells who somebody is, by API keys alone until `recognise` names more.
    """

    def __init__(self, clock: Clock) -> None:
        self.keys = ApiKeys()
        self.revocations = Revocations()
        self._clock = clock
        self._also: Callable[[Admitted], str] = lambda admitted: ""
        self._verifier = ApiKeyVerifier(self.keys.get, lambda: self.keys.complete, self.keys.use)
        self.authenticator = Slowed((self._verifier,), self._revoked, clock, Guesses(), self._known)

    def recognise(self, verifiers: Sequence[Verifier]) -> None:
        """Know these kinds of credentials beside API keys, from now on."""
        self.authenticator.recognise((self._verifier, *verifiers))

    def also(self, ended: Callable[[Admitted], str]) -> None:
        """Have this, too, say why whoever has a connection would not be let in now; nothing where he would."""
        self._also = ended

    def ended(self, admitted: Admitted, now: float) -> str:
        """Why whoever has a connection would not be let in now; empty where he would. Time is up elsewhere."""
        if reason := self._also(admitted):
            return reason
        if self.revocations.revoked(admitted):
            return f"{admitted.credential or 'its credential'} of {admitted.caller}: revoked"
        if not admitted.credential.startswith(_KEY):
            return ""
        return self.keys.ended(admitted.credential.removeprefix(_KEY), now)

    def _revoked(self, proof: Proof) -> bool:
        if not self.keys.complete:
            raise Unavailable("access: this hub does not know yet what was revoked; try again")
        if self.revocations.revoked(proof):
            return True
        if not proof.credential.startswith(_KEY):
            return False
        now = self._clock.wall().timestamp()  # of a key that was rotated, the proof tells an end that was moved since
        return bool(self.keys.ended(proof.credential.removeprefix(_KEY), now))

    def _known(self, key_id: str) -> bool:
        return self.keys.get(key_id) is not None
