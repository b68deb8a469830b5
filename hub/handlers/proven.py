"""Who a request is by: who was proven to make it, and only where nobody proves anything, whom it says."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct, structs

from hub.errors import Forbidden
from hub.telemetry.request import current_caller
from hub.wire.codec import Decoder

S = TypeVar("S", bound=Struct)


class Signed(Decoder[S]):
    """Decodes a kind of message that has an `author`: where identities are proven, that is who asks, whoever it says.

    Args:
        kind: The kind.
    """

    def __call__(self, payload: bytes) -> S:
        """The message in `payload`. Raises as any decoder does."""
        message = super().__call__(payload)
        caller = current_caller()
        return message if caller is None else structs.replace(message, author=str(caller))


def service(said: str) -> str:
    """The service that makes the request which is answered now.

    Args:
        said: The one that the message names; where identities are proven it must be the one that asks.

    Raises:
        Forbidden: it is another, or who asks is no service; `field` is "service".
    """
    caller = current_caller()
    if caller is None or (caller.role == "service" and caller.name == said):
        return said
    raise Forbidden(f"service: expected the service that asks, which is {caller}, got {said!r}", field="service")
