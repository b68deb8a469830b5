"""Who may read a secret.

A secret names its readers: services, with `*` for any characters. Who asks is whom the request says it is, as anybody
may say it who reaches NATS. `Identify` is the one place where that is to change: what proves an identity takes the
place of `claimed`, and nothing else in the hub need know.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from hub.wire.config import EVERYBODY
from hub.wire.secrets import ResolveSecrets


class Identify(Protocol):
    """Tells who makes a request.

    It is called once for each request for values, before anything is decrypted, within the context of the request; what
    it returns is all that is matched against the readers of the secrets. An identity that was proven to the NATS server
    (an account, a user, a key) belongs in here: return the service that it is proven to be, whatever the request says,
    or refuse a request that says something else.
    """

    def __call__(self, request: ResolveSecrets) -> str:
        """The name of the service that asks.

        Raises:
            Forbidden: it is nobody who may ask; `field` is "service".
        """


def claimed(request: ResolveSecrets) -> str:
    """The service that the request says it is, and nothing proves."""
    return request.service


def may_read(service: str, readers: Iterable[str]) -> bool:
    """Whether a service is among the readers."""
    return any(matches(pattern, service) for pattern in readers)


def matches(pattern: str, service: str) -> bool:
    """Whether a service goes by the pattern, in which `*` stands for any characters, or none. In linear time."""
    first, *others = pattern.split("*")
    if not others:
        return pattern == service
    *middle, last = others
    at, end = len(first), len(service) - len(last)
    if end < at or not service.startswith(first) or not service.endswith(last):
        return False
    for part in middle:
        found = service.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def may_refer(scope: str, readers: Iterable[str]) -> bool:
    """Whether the configuration of a scope may refer to it: what all share may, whoever of them may then read it."""
    return scope == EVERYBODY or may_read(scope, readers)
