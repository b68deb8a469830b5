"""What a channel of the contract is: one subject, or a family of them; who speaks there, who listens, what is said."""

from __future__ import annotations

from typing import Final, Literal, get_args

from msgspec import Struct

from hub.wire import subjects
from hub.wire.audit import CHAIN_PATTERN
from hub.wire.event import EventType
from hub.wire.names import INSTANCE_PATTERN, SERVICE_PATTERN
from hub.wire.roles import Right
from hub.wire.secrets import SECRET_PATTERN

CONTRACT_VERSION: Final = "v1"
"""The version of the wire contract; the distribution has its own."""

Role = Literal["service", "reader", "operator", "bridge", "external", "prometheus", "hub"]
"""Who takes part: the roles of `hub.wire.roles`, and the hub itself. What no row of the table gives a role, it may not
do."""

Kind = Literal["request", "request or publish", "publish", "republish", "stream"]
"""How a subject is used. A request is answered; what is published is not; `republish` is published by the NATS server
for every change stored in a bucket; `stream` is published into a JetStream stream."""

SERVICE: Final = "service"
OPERATOR: Final = "operator"
READER: Final = "reader"
EXTERNAL: Final = "external"
BRIDGE: Final = "bridge"
PROMETHEUS: Final = "prometheus"
HUB: Final = "hub"

_RIGHTS: Final[dict[str, Right]] = {
    "register": "register",
    "deregister": "register",
    "heartbeat": "register",
    "reregister": "register",
    "discover": "discover",
    "services": "discover",
    "graph": "discover",
    "registry": "discover",
    "health": "health",
    "config": "config",
    "secret": "secrets",
    "components": "components",
    "database": "lease",
    "events": "events",
    "metrics": "metrics",
    "PING": "health",
    "INFO": "health",
    "STATS": "health",
}
"""Which right a family of subjects belongs to, by its first token, or by the second behind `delta`; to `admin` else."""


class Parameter(Struct, frozen=True, kw_only=True):
    """What may stand in one place of an address.

    Whatever matches `pattern`, and of that only `values` if there are any. A place holds one token of the subject,
    unless `tokens` says more.
    """

    description: str
    pattern: str
    values: tuple[str, ...] = ()
    tokens: int = 1


class Channel(Struct, frozen=True, kw_only=True):
    """One subject, or one family of subjects that differ in their parameters.

    `payload` is None where an empty message says it all. `queue` is the queue group of the subscribers; None where
    each of them hears everything, and answers if it is a request. `text` is the media type of a reply that is text;
    all others are JSON.
    """

    name: str
    address: str
    kind: Kind
    publishers: tuple[Role, ...]
    subscribers: tuple[Role, ...]
    payload: type[Struct] | None
    description: str
    reply: type[Struct] | None = None
    queue: str | None = None
    text: str | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the places in the address, in their order."""
        return tuple(token[1:-1] for token in self.address.split(".") if token.startswith("{"))

    @property
    def right(self) -> Right:
        """The right that a credential must be good for, to take part."""
        _, family, *more = self.address.split(".")
        return _RIGHTS.get(more[0] if family == "delta" and more else family, "admin")

    def pattern(self) -> str:
        """The NATS subject, with wildcards, that covers the family."""
        tokens = self.address.split(".")
        for place, token in enumerate(tokens):
            if token.startswith("{"):
                tokens[place] = "*" if PARAMETERS[token[1:-1]].tokens == 1 else ">"
        return ".".join(tokens)


def request(
    name: str,
    address: str,
    payload: type[Struct],
    reply: type[Struct],
    description: str,
    publishers: tuple[Role, ...] = (OPERATOR,),
) -> Channel:
    """A request that one replica of the hub answers: of operators, where nobody else is named."""
    return Channel(
        name=name,
        address=address,
        kind="request",
        publishers=publishers,
        subscribers=(HUB,),
        queue=subjects.QUEUE_GROUP,
        payload=payload,
        reply=reply,
        description=description,
    )


PARAMETERS: Final[dict[str, Parameter]] = {
    "service": Parameter(description="Name of the service: a DNS label.", pattern=SERVICE_PATTERN),
    "instance": Parameter(description="Id of the instance: 1..64 of A-Z, a-z, 0-9, _ and -.", pattern=INSTANCE_PATTERN),
    "scope": Parameter(
        description="Name of the service, or `_all` for what every service shares.",
        pattern=r"^(_all|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)\Z",
    ),
    "secret": Parameter(description="Name of the secret: 1..128 of A-Z, a-z, 0-9, _ and -.", pattern=SECRET_PATTERN),
    "hub": Parameter(description="Id of a replica of the hub.", pattern=INSTANCE_PATTERN),
    "component": Parameter(
        description="Name of a service, or of a part of the hub itself: "
        + ", ".join(sorted(subjects.RESERVED_NAMES))
        + f", {subjects.RESERVED_PREFIX}<name>.",
        pattern=SERVICE_PATTERN,
    ),
    "chain": Parameter(
        description="Name of a chain of the audit: the id of the hub that writes it, and when that started.",
        pattern=CHAIN_PATTERN,
    ),
    "type": Parameter(
        description="Type of the event, two tokens of the subject.",
        pattern=r"^[a-z]+\.[a-z]+\Z",
        values=get_args(EventType),
        tokens=2,
    ),
}
"""The places of all addresses."""
