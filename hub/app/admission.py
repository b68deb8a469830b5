"""The parts of a hub that store API keys and revocations, and act on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from nats.aio.client import Client

from hub.app.credentials import Credentials
from hub.core.condition import Condition
from hub.handlers.accessbucket import AccessListener
from hub.handlers.apikeys import KeyStore, KeyUses
from hub.handlers.clock import Clock
from hub.handlers.endpoint import Respond
from hub.handlers.kicking import Kicking
from hub.handlers.revoking import Revoking
from hub.store.events import EventLog
from hub.store.jetstream import JetStreamBucket
from hub.store.streams import BucketSpec
from hub.transport.loops import Keep
from hub.transport.requests import Requester


class Admission:
    """What stores them, follows what is stored, and closes the connections of whom it concerns.

    Args:
        client: The connection.
        requester: An open requester on it.
        spec: The bucket of keys and revocations.
        credentials: What is to know them.
        events: Where to tell of changes.
        clock: Where to read the time.
        rights: What a key may be limited to; empty takes any name.
        max_bytes: The largest reply.
        keep: What runs the watch.

    Attributes:
        credentials: What knows them.
        watch: Follows what is stored; to be entered before anybody is let in.
        kicking: Closes connections, once it is attached to the system account.
        uses: Writes down when keys were last used.
        subjects: What is answered, and how.
    """

    def __init__(
        self,
        client: Client,
        requester: Requester,
        spec: BucketSpec,
        credentials: Credentials,
        events: EventLog,
        clock: Clock,
        *,
        rights: Collection[str],
        max_bytes: int,
        keep: Keep,
    ) -> None:
        keys, revocations = credentials.keys, credentials.revocations
        self.credentials = credentials
        self.kicking = Kicking(credentials.ended, clock)
        bucket = JetStreamBucket(client, requester, spec, keep=keep)
        listener = AccessListener(keys, revocations, self.kicking.changed, self.kicking.expect)
        self.watch = bucket.watch(listener)
        revoking = Revoking(revocations, bucket, listener, events, clock, max_bytes=max_bytes)
        self._store = KeyStore(
            keys, revocations, revoking, bucket, listener, events, clock, rights=rights, max_bytes=max_bytes
        )
        self.uses = KeyUses(keys, bucket)
        self.subjects: dict[str, Respond] = {**self._store.subjects, **revoking.subjects}

    @property
    def condition(self) -> Condition:
        """Whether many logins fail."""
        return self.credentials.authenticator.condition

    def labelled(self) -> dict[str, Callable[[], Mapping[str, float]]]:
        """The metrics with a label, by their name in the catalogue."""
        return {
            "hub_login_failures_total": lambda: self.credentials.authenticator.failures,
            "hub_login_keys": self._store.counts,
        }

    def plain(self) -> dict[str, Callable[[], float]]:
        """The metrics without one."""
        return {
            "hub_login_revoked": lambda: len(self.credentials.revocations),
            "hub_login_connections_closed_total": lambda: self.kicking.closed,
        }
