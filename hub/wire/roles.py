"""Who may take part, and as whom: the roles, and the callers that the NATS server or the HTTP face has proven."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final, Literal, get_args

from msgspec import Struct

from hub.wire.names import is_instance_id, is_service_name

CallerRole = Literal["service", "reader", "operator", "bridge", "external", "prometheus"]
"""What a caller may be: a service that registers, somebody who only looks, an operator, the bridge to Kafka, a service
from outside with a key, the one that scrapes metrics."""

CALLER_ROLES: Final[tuple[CallerRole, ...]] = get_args(CallerRole)

Right = Literal[
    "register", "discover", "health", "config", "secrets", "components", "lease", "events", "metrics", "admin"
]
"""What a credential may be good for, of all that its role may do: each channel of the contract belongs to one."""

RIGHTS: Final[tuple[Right, ...]] = get_args(Right)
_MAX_NAME: Final = 128
_INBOX_LENGTH: Final = 20
_UNUSUAL: Final = re.compile(rb"[^A-Za-z0-9-]")


class Caller(Struct, frozen=True, kw_only=True):
    """Somebody whose identity was proven. Written `<role>:<name>`, for a bound service `<role>:<name>/<instance>`.

    Attributes:
        role: What it is.
        name: Who it is: of a service its name, of all others what they are called where they are declared.
        instance: The one instance that it speaks for; None where it may speak for each of the service.
        host: The address that it came from, as far as that is known; no part of who it is.
    """

    role: CallerRole
    name: str
    instance: str | None = None
    host: str = ""

    def __str__(self) -> str:
        name = f"{self.role}:{self.name}"
        return name if self.instance is None else f"{name}/{self.instance}"


def parse_caller(text: str, *, host: str = "") -> Caller:
    """The caller that is written so.

    Raises:
        ValueError: the text is not how one is written; it says what was expected.
    """
    role, colon, rest = text.partition(":")
    name, slash, instance = rest.partition("/")
    if not colon or role not in CALLER_ROLES:
        raise ValueError(f"expected <role>:<name> with a role of {', '.join(CALLER_ROLES)}, got {text!r}")
    if role != "service":
        if not is_caller_name(rest):
            raise ValueError(f"expected a name of 1..{_MAX_NAME} printable characters without spaces, got {rest!r}")
        return Caller(role=role, name=rest, host=host)
    if not is_service_name(name):
        raise ValueError(f"expected the name of a service: a DNS label; got {name!r}")
    if slash and not is_instance_id(instance):
        raise ValueError(f"expected an instance id: 1..64 of A-Z, a-z, 0-9, _ and -; got {instance!r}")
    return Caller(role="service", name=name, instance=instance if slash else None, host=host)


def is_caller_name(name: str) -> bool:
    """Whether anybody but a service may be called so."""
    return 0 < len(name) <= _MAX_NAME and name.isprintable() and not any(each.isspace() for each in name)


def inbox_prefix(caller: Caller) -> str:
    """Below which subject the replies to a caller go, and nobody else's: `_INBOX.<role>.<name>[.<instance>]`.

    A name is one token of the subject: what is none of A-Z, a-z, 0-9 and - in it stands as `_` and two hexadecimal
    digits for each of its bytes, so that no two names become one.
    """
    name = _UNUSUAL.sub(lambda found: b"_%02x" % found[0][0], caller.name.encode()).decode()
    prefix = f"_INBOX.{caller.role}.{name}"
    return prefix if caller.instance is None else f"{prefix}.{caller.instance}"


def inbox_prefix_for(credential: str) -> str:
    """Below which subjects those who log in with this credential take their replies: `_INBOX.k.<20 of A-Z, 2-7>`.

    Both sides know it without knowing the caller's name, and who does not have the credential is not let in to it. It
    tells nothing of the credential that could be used.

    Args:
        credential: The public nkey; the text of the token or key; of a certificate the SHA-256 of its DER, in hex.
    """
    digest = hashlib.sha256(b"central-hub inbox\0" + credential.encode()).digest()
    return f"_INBOX.k.{base64.b32encode(digest).decode()[:_INBOX_LENGTH]}"
