"""`hub.heartbeat.<service>.<instance>`: heard by every replica, kept in memory, written nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import nats.errors
import structlog
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.core.registry import Registry
from hub.errors import HubError, Unauthenticated, Unavailable
from hub.handlers.clock import Clock
from hub.telemetry.metrics import Metrics
from hub.telemetry.request import current_caller
from hub.transport.direct import DirectMessage, subscribe_direct
from hub.transport.requestinfo import is_of_services, stamp
from hub.wire import subjects
from hub.wire.checks import CheckReport
from hub.wire.codec import Decoder, encode
from hub.wire.configstatus import ConfigRefusal
from hub.wire.names import InstanceId, ServiceName
from hub.wire.registration import Heartbeat

log = structlog.get_logger(__name__)


class _Beating(Struct, frozen=True, kw_only=True):
    """Whose beat it is."""

    name: ServiceName
    instance_id: InstanceId


class Heartbeats:
    """Hears beats.

    Args:
        client: Where to listen.
        registry: Where to tell of them.
        clock: Where to read the time.
        metrics: Where to count.
        on_uses: Told the key of whoever says which services it has discovered of late, and which.
        on_reports: Told the key of whoever reports on checks of its own, and what it says of them by their names.
        on_config: Told the key of whoever says what it runs with: the revision, and the one that it has refused.
        proven: Whether NATS says of each message from whom it is: then only those of the services' account count.
        admits: Whether one more beat of an instance is heard, by its key; asked before anything is read of it.
    """

    def __init__(
        self,
        client: Client,
        registry: Registry,
        clock: Clock,
        metrics: Metrics,
        *,
        on_uses: Callable[[str, tuple[str, ...]], None],
        on_reports: Callable[[str, Mapping[str, CheckReport]], None],
        on_config: Callable[[str, int | None, ConfigRefusal | None], None],
        proven: bool = False,
        admits: Callable[[str], bool] = lambda key: True,
    ) -> None:
        self._client = client
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._on_uses = on_uses
        self._on_reports = on_reports
        self._on_config = on_config
        self._proven = proven
        self._admits = admits
        self._decode = Decoder(Heartbeat)
        self._decode_beating = Decoder(_Beating)

    async def start(self) -> None:
        """Begin to hear, for as long as the connection is open."""
        await subscribe_direct(self._client, subjects.HEARTBEATS, self._on_stamped if self._proven else self._on_beat)

    async def publish(self, service: str, instance_id: str, payload: bytes) -> None:
        """Let an instance that cannot do so itself beat: said on NATS, where every replica hears it.

        Raises:
            InvalidRequest, PayloadTooLarge: no instance can be called so, or no beat says that.
            NotFound: it is not registered.
            Unauthenticated: nobody was proven to ask for it, where that is needed.
            Unavailable: NATS is away.
        """
        whose = self._decode_beating(encode({"name": service, "instance_id": instance_id}))
        self._decode(payload)
        entry = self._registry.locate(whose.name, whose.instance_id)
        if not self._client.is_connected:
            raise Unavailable("NATS: the hub is not connected, nobody would hear this beat; try again")
        try:
            await self._client.publish(subjects.heartbeat(entry.key), payload, headers=self._stamp())
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"NATS: the beat could not be sent ({str(error) or type(error).__name__})") from None

    def _stamp(self) -> dict[str, str] | None:
        """What tells the other hubs on whose behalf this one lets an instance beat."""
        if not self._proven:
            return None
        caller = current_caller()
        if caller is None:
            raise Unauthenticated("nothing proves who asks")
        return stamp(caller)

    async def _on_stamped(self, message: Msg) -> None:
        """Hear one from the services' account; whose it is, NATS has seen to: nobody may publish another's."""
        if isinstance(message, DirectMessage) and is_of_services(message.raw_headers):
            await self._on_beat(message)
        else:
            self._metrics.bad_heartbeats += 1

    async def _on_beat(self, message: Msg) -> None:
        key = message.subject[len(subjects.HEARTBEAT_PREFIX) :]
        if not self._admits(key):
            return
        self._metrics.heartbeats += 1
        if not message.data:
            self._registry.beat(key, self._clock.now(), self._clock.wall)
            return
        try:
            beat = self._decode(message.data)
        except HubError as error:
            self._metrics.bad_heartbeats += 1
            log.debug("heartbeat refused", key=key, code=error.code, reason=error.message)
            return
        self._registry.beat(key, self._clock.now(), self._clock.wall, beat.status, beat.message or "")
        if beat.checks:
            self._on_reports(key, beat.checks)
        if beat.load is not None:
            self._registry.catalog.set_load(key, beat.load)
        if beat.uses:
            self._on_uses(key, beat.uses)
        if beat.config_revision is not None or beat.config_refused is not None:
            self._on_config(key, beat.config_revision, beat.config_refused)
