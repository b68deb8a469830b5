"""What the watches tell, decoded and passed on to the registry."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from hub.core.configs import Configs
from hub.core.registry import Registry
from hub.core.secrets import Secrets
from hub.handlers.changes import ANY, Changes
from hub.handlers.clock import Clock
from hub.handlers.components import Components
from hub.wire import subjects
from hub.wire.components import ComponentsRecord
from hub.wire.config import ConfigRecord
from hub.wire.record import Desired, Record
from hub.wire.secrets import SecretRecord

log = structlog.get_logger(__name__)


def _ignore() -> None:
    return None


class RegistryListener:
    """Learns the records of the registry."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._decode = msgspec.json.Decoder(Record).decode
        self._complete = False

    def on_put(self, key: str, value: bytes, revision: int) -> None:
        """A record was stored."""
        if self._registry.told(key, revision):
            return
        own = self._registry.being_written(value)
        try:
            record = own or self._decode(value)
        except msgspec.MsgspecError as error:
            log.error("record not understood; it is left alone", key=key, revision=revision, reason=str(error))
            return
        self._registry.learned(record, revision, self._clock.now(), own=own is not None)

    def on_delete(self, key: str, revision: int) -> None:
        """A record is gone."""
        self._registry.unlearned(key, revision)

    def on_reset(self) -> None:
        """The bucket was recreated."""
        log.warning("registry was recreated; revisions start again")
        self._registry.catalog.reset()

    def on_synced(self, revision: int) -> None:
        """The catalog is complete."""
        self._registry.catalog.reach(revision)
        tell = log.debug if self._complete else log.info  # scheduled readings find what is known already
        tell("catalog complete", revision=revision, instances=len(self._registry.catalog.entries))
        self._complete = True

    def on_lost(self, reason: str) -> None:
        """The catalog may lag behind."""
        self._complete = False
        log.warning("catalog may lag behind; reading it again", reason=reason)


class DesiredListener:
    """Learns what operators want of instances."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._decode = msgspec.json.Decoder(Desired).decode

    def on_put(self, key: str, value: bytes, revision: int) -> None:
        """Operators want something of an instance."""
        try:
            desired = self._decode(value)
        except msgspec.MsgspecError as error:
            log.error("desired state not understood; it is left alone", key=key, revision=revision, reason=str(error))
            return
        self._registry.desired(key, desired, revision, self._clock.wall)

    def on_delete(self, key: str, revision: int) -> None:
        """They want it no more."""
        self._registry.undesired(key, revision, self._clock.wall)

    def on_reset(self) -> None:
        """The bucket was recreated."""
        log.warning("desired state was recreated; what operators wanted before is lost")
        self._registry.catalog.desired.reset()

    def on_synced(self, revision: int) -> None:
        """All that is wanted is known."""

    def on_lost(self, reason: str) -> None:
        """What is wanted may lag behind."""
        log.warning("desired state may lag behind; reading it again", reason=reason)


class ConfigListener:
    """Learns the configuration of every scope.

    Args:
        configs: Where to put it.
        changes: Told of every revision that becomes known.
        found: Told the scope of every record that was there when this hub began to listen.
        changed: Told the scope of every record that is news after that.
        lost: Told that changes may go unheard, or that the bucket was made anew.
        synced: Told that all that is stored is known, be it again.
    """

    def __init__(
        self,
        configs: Configs,
        changes: Changes,
        *,
        found: Callable[[str], None],
        changed: Callable[[str], None],
        lost: Callable[[], None] = _ignore,
        synced: Callable[[], None] = _ignore,
    ) -> None:
        self._configs = configs
        self._changes = changes
        self._learned = found
        self._changed = changed
        self._lost = lost
        self._synced = synced
        self._decode = msgspec.json.Decoder(ConfigRecord).decode

    def on_put(self, key: str, value: bytes, revision: int) -> None:
        """A record was stored."""
        try:
            record = self._decode(value)
        except msgspec.MsgspecError as error:
            log.error("configuration not understood; it is left alone", key=key, revision=revision, reason=str(error))
        else:
            if self._configs.learn(key, record, revision):
                self._learned(key)
        self._reached(revision)

    def on_delete(self, key: str, revision: int) -> None:
        """Its records are gone."""
        log.warning("configuration was deleted past the hub", scope=key, revision=revision)
        self._configs.forget(key, revision)
        self._learned(key)
        self._reached(revision)

    def on_reset(self) -> None:
        """The bucket was recreated."""
        log.warning("configuration was recreated; what was stored before is lost")
        self._configs.reset()
        self._lost()

    def on_synced(self, revision: int) -> None:
        """All that is stored is known."""
        self._learned = self._changed
        self._reached(revision)
        self._synced()

    def on_lost(self, reason: str) -> None:
        """What is stored may lag behind."""
        log.warning("configuration may lag behind; reading it again", reason=reason)
        self._lost()

    def _reached(self, revision: int) -> None:
        self._configs.reach(revision)
        self._changes.notify(ANY, self._configs.revision, self._configs.revision)


class SecretsListener:
    """Learns the secrets, encrypted as they are.

    Args:
        secrets: Where to put them.
        changes: Told of every revision that becomes known.
    """

    def __init__(self, secrets: Secrets, changes: Changes) -> None:
        self._secrets = secrets
        self._changes = changes
        self._decode = msgspec.json.Decoder(SecretRecord).decode

    def on_put(self, key: str, value: bytes, revision: int) -> None:
        """A record was stored."""
        try:
            record = self._decode(value)
        except msgspec.MsgspecError as error:
            log.error("secret not understood; it is left alone", name=key, revision=revision, reason=str(error))
        else:
            if record.name == key:
                self._secrets.learn(record, revision)
            else:
                log.error("secret stored under another name; it is left alone", name=key, revision=revision)
        self._reached(revision)

    def on_delete(self, key: str, revision: int) -> None:
        """A secret is gone."""
        self._secrets.forget(key, revision)
        self._reached(revision)

    def on_reset(self) -> None:
        """The bucket was recreated."""
        log.warning("secrets were recreated; what was stored before is lost")
        self._secrets.reset()

    def on_synced(self, revision: int) -> None:
        """All that is stored is known."""
        self._reached(revision)

    def on_lost(self, reason: str) -> None:
        """What is stored may lag behind."""
        log.warning("secrets may lag behind; reading them again", reason=reason)

    def _reached(self, revision: int) -> None:
        self._secrets.reach(revision)
        self._changes.notify(ANY, self._secrets.revision, self._secrets.revision)


class ComponentsListener:
    """Learns which version of the components is the newest."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._decode = msgspec.json.Decoder(ComponentsRecord).decode

    def on_put(self, key: str, value: bytes, revision: int) -> None:
        """A version was published."""
        if key != subjects.MANIFESTS_KEY:
            return
        try:
            self._components.learn(self._decode(value), revision)
        except msgspec.MsgspecError as error:
            log.error("version of the components not understood", revision=revision, reason=str(error))

    def on_delete(self, key: str, revision: int) -> None:
        """All versions are gone."""
        if key == subjects.MANIFESTS_KEY:
            log.warning("versions of the components were deleted past the hub", revision=revision)
            self._components.learn(None, revision)

    def on_reset(self) -> None:
        """The bucket was recreated."""
        log.warning("versions of the components were recreated; what was published before is lost")
        self._components.learn(None, 0)

    def on_synced(self, revision: int) -> None:
        """The newest is known."""

    def on_lost(self, reason: str) -> None:
        """There may be a newer one."""
        log.warning("versions of the components may lag behind; reading them again", reason=reason)
