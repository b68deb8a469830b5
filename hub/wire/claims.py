"""Whom a channel is about: which place of its address, or which field of its message, names the service.

By these names the hub decides whether a caller may do what it asks for (`hub.core.policy`), and the NATS server which
subjects it may use (`hub.core.permissions`).
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Meaning = Literal["own", "discover", "config", "everything"]
"""What the named service must be to a caller.

`own`: the service that it is. `discover`, `config`: one that it may discover, or whose configuration it may read.
`everything`: nobody is named, and what is told is of all services.
"""


class Claim(Struct, frozen=True, kw_only=True):
    """What a channel says of a service.

    Attributes:
        meaning: What that service must be to the caller.
        service: The place, or the field, with its name; empty where there is none.
        instance: The place, or the field, with the id of its instance; empty where there is none, or any will do.
        required: Whether the message must name the instance where the caller is bound to one.
        others: A field with the names of further services, to be discovered along with it.
        where: The field that must hold `whenever` for these to be told.
        whenever: See `where`.
    """

    meaning: Meaning
    service: str = ""
    instance: str = ""
    required: bool = True
    others: str = ""
    where: str = ""
    whenever: str = ""


_OWN: Final = Claim(meaning="own", service="service", instance="instance")
_EVERYTHING: Final = Claim(meaning="everything")
_CONFIG: Final = Claim(meaning="config", service="service")

CLAIMS: Final[dict[str, Claim]] = {
    "register": Claim(
        meaning="own",
        service="name",
        instance="instance_id",
        others="depends_on",
        where="include",
        whenever="dependencies",
    ),
    "deregister": Claim(meaning="own", service="name", instance="instance_id"),
    "heartbeat": _OWN,
    "reregister": _OWN,
    "discover": Claim(meaning="discover", service="name"),
    "services": _EVERYTHING,
    "get-health": Claim(meaning="discover", service="name"),
    "graph": _EVERYTHING,
    "health": Claim(meaning="discover", service="component"),
    "registry-delta": Claim(meaning="discover", service="service"),
    "events": _EVERYTHING,
    "get-config": _CONFIG,
    "get-config-records": _CONFIG,
    "validate-config": _CONFIG,
    "config-status": _CONFIG,
    "get-config-schema": _CONFIG,
    "put-config-schema": Claim(meaning="own", service="service"),
    "config-delta": Claim(meaning="config", service="scope"),
    "config-remind": _OWN,
    "resolve-secrets": Claim(meaning="own", service="service", instance="instance_id", required=False),
}
"""By the name of the channel. What is not in here tells everybody the same who may use the channel at all."""
