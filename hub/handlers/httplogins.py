"""Logins over HTTP: proven, counted, and told in the log where they fail, as the callout does for those of NATS."""

from __future__ import annotations

from collections import Counter

import structlog

from hub.errors import HubError
from hub.handlers.authenticator import Authenticator
from hub.handlers.callout import Told, untold
from hub.handlers.sparing import Sparing
from hub.identity.proof import Presented, Proof

log = structlog.get_logger(__name__)


class HttpLogins:
    """Asks who somebody is.

    Args:
        authenticator: Knows who presents what.
        outcomes: Where to count how each ended: `ok`, or the code of an error.

    Attributes:
        told: Told of those that fail. Who is let in says so with every request, and is named by what he changes.
    """

    def __init__(self, authenticator: Authenticator, outcomes: Counter[str]) -> None:
        self._authenticator = authenticator
        self._outcomes = outcomes
        self._sparing = Sparing()
        self.told: Told = untold

    def holds(self, proof: Proof) -> bool:
        """Whether what was proven still is."""
        return self._authenticator.holds(proof)

    async def prove(self, presented: Presented) -> Proof:
        """Who presents this. Raises as the authenticator does."""
        try:
            proof = await self._authenticator.prove(presented)
        except HubError as error:
            self._outcomes[error.code] += 1
            self.told(None, presented.host, error.code, error.message)
            if (omitted := self._sparing.take()) is not None:
                log.warning(
                    "login refused", via="http", reason=error.message, host=presented.host, omitted_before=omitted
                )
            raise
        self._outcomes["ok"] += 1
        log.debug("let in", caller=str(proof.caller), credential=proof.credential, host=presented.host)
        return proof
