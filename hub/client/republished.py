"""Telling what NATS sends on of its store from what else comes on the same subject.

A caller may name any subject as the one for his reply, `hub.delta.registry.<somebody else>` too, and what JetStream or
a hub answers him is then delivered there, among what was stored. It has headers of a stored message where it is one,
but of the key under which that is stored in truth: nobody but hubs writes under another's.
"""

from __future__ import annotations

import logging
from typing import Final

from nats.aio.msg import Msg

from hub.wire import subjects

log = logging.getLogger("hub.client")

_SUBJECT: Final = "Nats-Subject"
_BUCKETS: Final = {
    subjects.REGISTRY_DELTA_PREFIX: subjects.REGISTRY_BUCKET,
    subjects.CONFIG_DELTA_PREFIX: subjects.CONFIG_BUCKET,
    subjects.SECRET_DELTA_PREFIX: subjects.SECRETS_BUCKET,
}
"""What is sent on below which subject."""


def is_republished(message: Msg, prefix: str) -> bool:
    """Whether NATS says of a message on `<prefix><key>` that it was stored under that key. Any other is passed over."""
    key = message.subject.removeprefix(prefix)
    if (message.headers or {}).get(_SUBJECT) == f"$KV.{_BUCKETS[prefix]}.{key}":
        return True
    log.debug("%s: passed over what was stored under no such key", message.subject)
    return False
