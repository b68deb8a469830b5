"""Nkeys: who is declared with one, and signs the server's nonce with it, is who is declared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import structs

from hub.errors import Unauthenticated
from hub.identity.proof import Presented, Proof
from hub.settings.access import Identity
from hub.wire.admitted import Admitted
from hub.wire.roles import Caller, parse_caller

_CREDENTIAL: Final = "nkey:"


class NkeyVerifier:
    """Knows callers by their public nkeys.

    Args:
        identities: Who is declared with one.
        first_operator: The public nkey of the operator who declares the others, where there is one, and his name.

    Raises:
        ValueError: somebody who is declared can have no such role or name.
    """

    def __init__(self, identities: Iterable[Identity], first_operator: tuple[str, str] | None = None) -> None:
        self._callers: dict[str, Caller] = {}
        if first_operator is not None:
            public, name = first_operator
            self._callers[public] = Caller(role="operator", name=name)
        for each in identities:
            bound = f"/{each.instance}" if each.instance is not None else ""
            self._callers[each.nkey] = parse_caller(f"{each.role}:{each.name}{bound}")

    async def verify(self, presented: Presented, now: float) -> Proof | None:
        """See `Verifier`."""
        if presented.nkey is None:
            return None
        caller = self._callers.get(presented.nkey)
        if caller is None:
            raise Unauthenticated(f"nkey {presented.nkey}: nobody is declared with it")
        return Proof(caller=structs.replace(caller, host=presented.host), credential=f"{_CREDENTIAL}{presented.nkey}")

    def ended(self, admitted: Admitted) -> str:
        """Why an nkey that has let somebody in would not let him in as that now; empty where it would."""
        if not admitted.credential.startswith(_CREDENTIAL):
            return ""
        nkey, who = admitted.credential.removeprefix(_CREDENTIAL), admitted.caller
        declared = self._callers.get(nkey)
        if declared is None:
            return f"nkey {nkey}: nobody is declared with it any more"
        same = (declared.role, declared.name) == (who.role, who.name)
        if not same or declared.instance not in (None, who.instance):
            return f"nkey {nkey}: declared with it is {declared} now"
        return ""
