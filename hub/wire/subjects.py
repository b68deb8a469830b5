"""Every subject of the contract, by name. Nothing else in the code spells a subject."""

from __future__ import annotations

from typing import Final

QUEUE_GROUP: Final = "hub"

REGISTER: Final = "hub.register"
DEREGISTER: Final = "hub.deregister"
DISCOVER: Final = "hub.discover"
SERVICES: Final = "hub.services"
GRAPH: Final = "hub.graph"
ADMIN_DRAIN: Final = "hub.admin.drain"
ADMIN_UNDRAIN: Final = "hub.admin.undrain"
ADMIN_MAINTENANCE: Final = "hub.admin.maintenance"
ADMIN_WEIGHT: Final = "hub.admin.weight"
ADMIN_METADATA: Final = "hub.admin.metadata"
ADMIN_GET: Final = "hub.admin.get"
CONFIG_GET: Final = "hub.config.get"
CONFIG_RECORDS: Final = "hub.config.records"
CONFIG_LIST: Final = "hub.config.list"
CONFIG_PUT: Final = "hub.config.put"
CONFIG_PATCH: Final = "hub.config.patch"
CONFIG_VALIDATE: Final = "hub.config.validate"
CONFIG_HISTORY: Final = "hub.config.history"
CONFIG_DIFF: Final = "hub.config.diff"
CONFIG_PROMOTE: Final = "hub.config.promote"
CONFIG_ABORT: Final = "hub.config.abort"
CONFIG_ROLLBACK: Final = "hub.config.rollback"
CONFIG_DELETE: Final = "hub.config.delete"
CONFIG_RELOAD: Final = "hub.config.reload"
CONFIG_STATUS: Final = "hub.config.status"
CONFIG_SCHEMA_GET: Final = "hub.config.schema.get"
CONFIG_SCHEMA_PUT: Final = "hub.config.schema.put"
SECRET_PUT: Final = "hub.secret.put"
SECRET_LIST: Final = "hub.secret.list"
SECRET_DELETE: Final = "hub.secret.delete"
SECRET_RESOLVE: Final = "hub.secret.resolve"
SECRET_REKEY: Final = "hub.secret.rekey"
KEY_CREATE: Final = "hub.key.create"
KEY_LIST: Final = "hub.key.list"
KEY_ROTATE: Final = "hub.key.rotate"
KEY_REVOKE: Final = "hub.key.revoke"
ACCESS_REVOKE: Final = "hub.access.revoke"
ACCESS_RESTORE: Final = "hub.access.restore"
ACCESS_LIST: Final = "hub.access.list"
COMPONENTS_GET: Final = "hub.components.get"
COMPONENTS_HISTORY: Final = "hub.components.history"
COMPONENTS_PUBLISH: Final = "hub.components.publish"
COMPONENTS_ROLLBACK: Final = "hub.components.rollback"
AUDIT_READ: Final = "hub.audit.read"
AUDIT_ARCHIVED: Final = "hub.audit.archived"
AUDIT_SEARCH: Final = "hub.audit.search"
AUDIT_HEAD: Final = "hub.audit.head"
METRICS: Final = "hub.metrics"
HEALTH: Final = "hub.health"
OBSERVED: Final = "hub.observed"

HEARTBEAT_PREFIX: Final = "hub.heartbeat."
HEARTBEATS: Final = "hub.heartbeat.*.*"
REREGISTER_PREFIX: Final = "hub.reregister."
HEALTH_PREFIX: Final = "hub.health."
REPLICA_PREFIX: Final = "hub.replica."
REPLICAS: Final = "hub.replica.*"
CHECK_PREFIX: Final = "hub.check."
CHECKS: Final = "hub.check.*.*"
REGISTRY_DELTA_PREFIX: Final = "hub.delta.registry."
CONFIG_DELTA_PREFIX: Final = "hub.delta.config."
SECRET_DELTA_PREFIX: Final = "hub.delta.secret."
COMPONENTS_DELTA: Final = "hub.delta.components"
CONFIG_REMIND_PREFIX: Final = "hub.config.remind."
EVENTS_PREFIX: Final = "hub.events."
AUDIT_PREFIX: Final = "hub.audit.chain."
MICRO_PREFIX: Final = "$SRV."
MICRO_ANSWERS: Final = "_INBOX.central-hub.micro"
"""Where services answer the hub's `$SRV.PING`: an inbox that all replicas share, so that each hears who is alive."""

REGISTRY_BUCKET: Final = "hub-registry"
DESIRED_BUCKET: Final = "hub-desired"
CONFIG_BUCKET: Final = "hub-config"
SECRETS_BUCKET: Final = "hub-secrets"
ACCESS_BUCKET: Final = "hub-access"
MANIFESTS_BUCKET: Final = "hub-manifests"
MANIFESTS_KEY: Final = "components"
COMPONENTS_STORE: Final = "hub-components"
LEADER_BUCKET: Final = "hub-leader"
EVENTS_STREAM: Final = "HUB_EVENTS"
AUDIT_STREAM: Final = "HUB_AUDIT"

RESERVED_NAMES: Final = frozenset({"hub", "nats", "kafka", "database", "cache", "bridge"})
RESERVED_PREFIX: Final = "db-"


def instance_key(service: str, instance_id: str) -> str:
    """The key of one instance, everywhere: `<service>.<instance>`. Neither part may contain a dot."""
    return f"{service}.{instance_id}"


def heartbeat(key: str) -> str:
    """Where the instance of that key publishes its beats."""
    return HEARTBEAT_PREFIX + key


def reregister(key: str) -> str:
    """Where the hub asks the instance of that key to register again."""
    return REREGISTER_PREFIX + key


def replica(hub_id: str) -> str:
    """Where the replica of that id says that it is there."""
    return REPLICA_PREFIX + hub_id


def check(key: str) -> str:
    """Where a replica says how the checks of the instance of that key stand."""
    return CHECK_PREFIX + key


def health(component: str) -> str:
    """Where the hub reports on a service or on a part of itself."""
    return HEALTH_PREFIX + component


def registry_delta(service: str) -> str:
    """Where every stored change of one service's instances is republished (a wildcard over its instances)."""
    return f"{REGISTRY_DELTA_PREFIX}{service}.*"


def config_delta(scope: str) -> str:
    """Where every stored change of the configuration of a service, or of `_all`, is republished."""
    return CONFIG_DELTA_PREFIX + scope


def secret_delta(name: str) -> str:
    """Where it is told that the secret of that name has changed."""
    return SECRET_DELTA_PREFIX + name


def config_remind(key: str) -> str:
    """Where the hub tells the instance of that key that it does not run the newest configuration."""
    return CONFIG_REMIND_PREFIX + key


def event(event_type: str) -> str:
    """Where events of a type (`service.registered`) are published into the stream `HUB_EVENTS`."""
    return EVENTS_PREFIX + event_type


def audit_chain(chain: str) -> str:
    """Where the hub writes the chain of that name into the stream `HUB_AUDIT`."""
    return AUDIT_PREFIX + chain


def micro(verb: str, name: str, instance_id: str) -> tuple[str, str, str]:
    """Where one instance of a NATS micro service is asked, by ADR-32: with all services, with its like, or alone."""
    everybody = MICRO_PREFIX + verb
    return everybody, f"{everybody}.{name}", f"{everybody}.{name}.{instance_id}"


def is_reserved(service: str) -> bool:
    """Whether the name is kept for the hub's own components, which report on `hub.health.*` too."""
    return service in RESERVED_NAMES or service.startswith(RESERVED_PREFIX)
