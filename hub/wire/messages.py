"""Every message of the contract, by the name of its schema."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from hub.wire.admin import Desires, Drain, GetDesired, Maintenance, OverrideMetadata, OverrideWeight, Undrain
from hub.wire.audit import (
    ArchivedAuditPage,
    AuditEntry,
    AuditFound,
    AuditHead,
    AuditHeads,
    AuditPage,
    ReadArchivedAudit,
    ReadAudit,
    SearchAudit,
)
from hub.wire.components import (
    Components,
    ComponentsHistory,
    ComponentsHistoryQuery,
    ComponentsPublished,
    ComponentsRecord,
    GetComponents,
    PublishComponents,
    RollbackComponents,
)
from hub.wire.config import (
    AbortCanary,
    Config,
    ConfigChanged,
    ConfigDiff,
    ConfigDiffQuery,
    ConfigHistory,
    ConfigHistoryQuery,
    ConfigList,
    ConfigRecord,
    ConfigRecords,
    ConfigSchema,
    ConfigVerdict,
    DeleteConfig,
    GetConfig,
    GetConfigRecords,
    GetConfigSchema,
    ListConfigs,
    PatchConfig,
    PromoteCanary,
    PutConfig,
    PutConfigSchema,
    ReloadConfig,
    Reloaded,
    RollbackConfig,
    ValidateConfig,
)
from hub.wire.configstatus import (
    ConfigStatus,
    ConfigStatusQuery,
)
from hub.wire.discovery import Discover, Discovered, ServiceList, Services
from hub.wire.event import CloudEvent
from hub.wire.fault import ErrorReply
from hub.wire.flags import FlagDefinition
from hub.wire.graph import Graph, Observed, ServiceGraph
from hub.wire.health import GetHealth, HealthList, HealthReport
from hub.wire.keys import (
    AccessChanged,
    CreateKey,
    IssuedKey,
    KeyList,
    ListKeys,
    ListRevoked,
    RestoreAccess,
    RevocationList,
    RevokeAccess,
    RevokeKey,
    RotateKey,
)
from hub.wire.record import Record
from hub.wire.registration import Deregister, Deregistered, Heartbeat, Register, Registered
from hub.wire.replica import Announcement, Findings
from hub.wire.secrets import (
    DeleteSecret,
    ListSecrets,
    PutSecret,
    Rekeyed,
    RekeySecrets,
    ResolvedSecrets,
    ResolveSecrets,
    SecretChanged,
    SecretList,
)

MESSAGES: Final[dict[str, type[Struct]]] = {
    "register": Register,
    "registered": Registered,
    "deregister": Deregister,
    "deregistered": Deregistered,
    "heartbeat": Heartbeat,
    "discover": Discover,
    "discovered": Discovered,
    "services": Services,
    "service-list": ServiceList,
    "graph": Graph,
    "service-graph": ServiceGraph,
    "observed": Observed,
    "admin-drain": Drain,
    "admin-undrain": Undrain,
    "admin-maintenance": Maintenance,
    "admin-weight": OverrideWeight,
    "admin-metadata": OverrideMetadata,
    "admin-get": GetDesired,
    "admin-desired": Desires,
    "health": HealthReport,
    "get-health": GetHealth,
    "health-list": HealthList,
    "get-config": GetConfig,
    "config": Config,
    "get-config-records": GetConfigRecords,
    "config-records": ConfigRecords,
    "list-configs": ListConfigs,
    "config-list": ConfigList,
    "put-config": PutConfig,
    "patch-config": PatchConfig,
    "config-changed": ConfigChanged,
    "validate-config": ValidateConfig,
    "config-verdict": ConfigVerdict,
    "config-history-query": ConfigHistoryQuery,
    "config-history": ConfigHistory,
    "config-diff-query": ConfigDiffQuery,
    "config-diff": ConfigDiff,
    "promote-canary": PromoteCanary,
    "abort-canary": AbortCanary,
    "rollback-config": RollbackConfig,
    "delete-config": DeleteConfig,
    "reload-config": ReloadConfig,
    "reloaded": Reloaded,
    "config-status-query": ConfigStatusQuery,
    "config-status": ConfigStatus,
    "get-config-schema": GetConfigSchema,
    "put-config-schema": PutConfigSchema,
    "config-schema": ConfigSchema,
    "config-record": ConfigRecord,
    "put-secret": PutSecret,
    "delete-secret": DeleteSecret,
    "secret-changed": SecretChanged,
    "list-secrets": ListSecrets,
    "secret-list": SecretList,
    "resolve-secrets": ResolveSecrets,
    "resolved-secrets": ResolvedSecrets,
    "rekey-secrets": RekeySecrets,
    "rekeyed": Rekeyed,
    "create-key": CreateKey,
    "issued-key": IssuedKey,
    "list-keys": ListKeys,
    "key-list": KeyList,
    "rotate-key": RotateKey,
    "revoke-key": RevokeKey,
    "revoke-access": RevokeAccess,
    "restore-access": RestoreAccess,
    "access-changed": AccessChanged,
    "list-revoked": ListRevoked,
    "revocation-list": RevocationList,
    "get-components": GetComponents,
    "components": Components,
    "components-history-query": ComponentsHistoryQuery,
    "components-history": ComponentsHistory,
    "publish-components": PublishComponents,
    "rollback-components": RollbackComponents,
    "components-published": ComponentsPublished,
    "components-record": ComponentsRecord,
    "audit-entry": AuditEntry,
    "search-audit": SearchAudit,
    "audit-found": AuditFound,
    "read-audit": ReadAudit,
    "audit-page": AuditPage,
    "read-archived-audit": ReadArchivedAudit,
    "archived-audit-page": ArchivedAuditPage,
    "audit-head": AuditHead,
    "audit-heads": AuditHeads,
    "record": Record,
    "event": CloudEvent,
    "announcement": Announcement,
    "findings": Findings,
    "error": ErrorReply,
}
"""Every message of the contract, by the name of its schema. `error` is the reply to any request that is refused."""
PARTS: Final[dict[str, type[Struct]]] = {"flag": FlagDefinition}
"""What stands within a message as free JSON, and has a schema of its own, by its name."""
SHAPES: Final[dict[str, type[Struct]]] = {**MESSAGES, **PARTS}
"""All that has a schema of its own."""


def message_name(kind: type[Struct]) -> str:
    """The name of the schema of a kind of message."""
    return next(name for name, struct in MESSAGES.items() if struct is kind)
