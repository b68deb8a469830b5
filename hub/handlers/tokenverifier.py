"""JWTs as credentials, whichever of the declared issuers they are of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hub.errors import Unauthenticated
from hub.handlers.jwks import IssuerKeys
from hub.identity.proof import Presented, Proof
from hub.identity.tokens import Claimed, is_token, proven, read
from hub.settings.access import Issuer

_SHOWN: Final = 64


class TokenVerifier:
    """Knows JWTs. A token of another shape is left to others.

    Args:
        believed: Those that are believed, each with its keys.
    """

    def __init__(self, believed: Iterable[tuple[Issuer, IssuerKeys]]) -> None:
        self._believed: dict[str, list[tuple[Issuer, IssuerKeys]]] = {}
        for issuer, keys in believed:
            self._believed.setdefault(issuer.issuer, []).append((issuer, keys))

    async def verify(self, presented: Presented, now: float) -> Proof | None:
        """See `hub.identity.proof.Verifier`."""
        if presented.token is None or not is_token(presented.token):
            return None
        claimed = read(presented.token)
        issuer, keys = self._issuer(claimed)
        if claimed.algorithm not in issuer.algorithms:
            allowed = " or ".join(issuer.algorithms)
            raise Unauthenticated(f"token of {issuer.issuer}: alg: expected {allowed}, got {claimed.algorithm}")
        key = await keys.find(claimed.algorithm, claimed.kid)
        return proven(claimed, issuer, key, now, host=presented.host)

    def _issuer(self, claimed: Claimed) -> tuple[Issuer, IssuerKeys]:
        """The issuer as it is declared for one of the token's audiences: the first of those in the file."""
        declared = self._believed.get(claimed.issuer)
        if declared is None:
            raise Unauthenticated(f"token: iss: {claimed.issuer[:_SHOWN]!a} is none of the declared issuers")
        for issuer, keys in declared:
            if issuer.audience in claimed.audience:
                return issuer, keys
        wanted = " or ".join(repr(issuer.audience) for issuer, _ in declared)
        got = ", ".join(claimed.audience)[:_SHOWN]
        raise Unauthenticated(f"token of {claimed.issuer}: aud: expected {wanted}, got {got!a}")
