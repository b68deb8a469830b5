"""As whom the NATS server knows a connection that the hub let in: who it is, what proved it, and until when that holds.

The callout of NATS gives a connection a user JWT. Of all that this says, the server shows its name alone afterwards: in
CONNZ, in the events of connections, and in the stamp on every request; it forgets the tags (seen with 2.15). So the
name says all there is to know. Whoever looks at the connections later, on whichever replica and after whichever
restart, can tell which of them are to be closed, without anything having been remembered or passed on.

Written `<caller> <credential> <expires>`, the latter two only as far as they are known: none has a space in it.
"""

from __future__ import annotations

from hashlib import sha256
from math import ceil
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from hub.wire.roles import Caller, parse_caller

_LONGEST: Final = 160
_PLAIN: Final = ":/@+=,"
"""Characters of a credential that stand for themselves, beside letters, digits and `_.-~`."""


class Admitted(Struct, frozen=True, kw_only=True):
    """Whom a connection is of.

    Attributes:
        caller: Who it is.
        credential: What proved it, as `credential_name` writes it; empty where that is not known.
        expires: When that proves nothing any more, seconds since the epoch; None where it always does.
    """

    caller: Caller
    credential: str = ""
    expires: int | None = None


def credential_name(credential: str) -> str:
    """A credential without spaces, and not too long to be repeated with every request."""
    written = quote(credential, safe=_PLAIN)
    return written if len(written) <= _LONGEST else f"sha256:{sha256(credential.encode()).hexdigest()}"


def user_name(caller: Caller, credential: str, expires: float | None = None) -> str:
    """What the user of a connection is called: the `name` of the user JWT that lets it in."""
    written = f"{caller} {credential_name(credential)}"
    return written if expires is None else f"{written} {ceil(expires)}"


def parse_user(text: str, *, host: str = "") -> Admitted:
    """Whom a user of that name is.

    Raises:
        ValueError: it is no name that the hub gives.
    """
    who, _, rest = text.partition(" ")
    credential, _, expires = rest.partition(" ")
    if rest and ":" not in credential:
        raise ValueError(f"expected what proves who it is, such as key:<id>, got {credential!r}")
    if expires and not (expires.isascii() and expires.isdigit()):
        raise ValueError(f"expected whole seconds since the epoch, got {expires!r}")
    return Admitted(
        caller=parse_caller(who, host=host), credential=credential, expires=int(expires) if expires else None
    )
