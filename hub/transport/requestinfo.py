"""Who made a request, as the NATS server says: it stamps what crosses from the services' account into the hub's.

What a caller writes there itself is overwritten by the server on that way, and on no other: nobody but hubs may be in
the hub's account. What has no stamp, or one of another account than the services', was made by no caller. That holds
for the hub's own replies as well, which a caller may direct to a subject of the hub's by naming that as its inbox.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec
from msgspec import Struct

from hub.core.accounts import SERVICES_ACCOUNT
from hub.errors import Unauthenticated
from hub.wire.admitted import parse_user
from hub.wire.roles import Caller

REQUEST_INFO: Final = "Nats-Request-Info"
_HEADER: Final = b"\r\n%b:" % REQUEST_INFO.encode()
"""At the beginning of a line: what stands within another header was written by the caller."""
_KEPT: Final = 4096
_LONGEST_KEPT: Final = 1024
"""Bytes of a stamp that is remembered: it repeats how a client calls itself, which may be much."""
_UNPROVEN: Final = "nothing proves who asks: the request came past the account of the services"


class _Info(Struct):
    acc: str = ""
    user: str = ""
    host: str = ""


_decoder = msgspec.json.Decoder(_Info)
_FROM_SERVICES: Final = b'"acc":"%b"' % SERVICES_ACCOUNT.encode()
"""As the server writes it. In what others say, within the stamp, each quotation mark has a backslash before it."""


def is_of_services(raw_headers: bytes) -> bool:
    """Whether the server says that a message with these headers came from the account of the services.

    Who of them it was is for `Callers` to say; what may be published to a subject of one's own alone need not know.
    """
    at = raw_headers.find(_HEADER)
    if at < 0 or raw_headers.find(_HEADER, at + 1) >= 0:
        return False
    return raw_headers.find(_FROM_SERVICES, at, raw_headers.find(b"\r\n", at + 2)) >= 0


def stamp(caller: Caller) -> dict[str, str]:
    """The headers by which a hub says to the others, in their own account, on whose behalf it publishes."""
    info = {"acc": SERVICES_ACCOUNT, "user": str(caller), "host": caller.host}
    return {REQUEST_INFO: msgspec.json.encode(info).decode()}


class Callers:
    """Tells callers by the headers of their requests.

    A stamp is the same for all requests of a connection, until its round-trip time is measured anew. The last ones are
    kept, so that nearly every request costs one look into a dict.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Caller] = OrderedDict()

    def caller(self, raw_headers: bytes) -> tuple[Caller, bool]:
        """Who made the request with these headers, and whether there are others than the stamp.

        Raises:
            Unauthenticated: no stamp, more than one, or one that names nobody.
        """
        at = raw_headers.find(_HEADER)
        if at < 0 or raw_headers.find(_HEADER, at + 1) >= 0:
            raise Unauthenticated(_UNPROVEN)
        end = raw_headers.find(b"\r\n", at + 2)
        stamp = raw_headers[at + len(_HEADER) : end]
        found = self._known.get(stamp)
        if found is None:
            found = _read(stamp)
            if len(stamp) <= _LONGEST_KEPT:
                self._known[stamp] = found
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        alone = at == raw_headers.find(b"\r\n") and raw_headers[end:] == b"\r\n\r\n"
        return found, not alone


def _read(stamp: bytes) -> Caller:
    try:
        info = _decoder.decode(stamp)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unauthenticated(_UNPROVEN) from None
    if info.acc != SERVICES_ACCOUNT:
        raise Unauthenticated(_UNPROVEN)
    try:
        return parse_user(info.user, host=info.host).caller
    except ValueError:
        raise Unauthenticated(
            "nothing proves who asks: the user of the connection is none that the hub let in"
        ) from None
