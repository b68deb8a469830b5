"""What changes something: the requests that the audit has, whoever asks and however they end.

Every channel to the hub is in one of the two, by its name. A beat is among those that change nothing: it says that all
is as it was, ten thousand times a minute. A channel that is in neither counts as one that changes something.
"""

from __future__ import annotations

from typing import Final

MUTATING: Final = frozenset(
    {
        "register",
        "deregister",
        "admin-drain",
        "admin-undrain",
        "admin-maintenance",
        "admin-weight",
        "admin-metadata",
        "put-config",
        "patch-config",
        "promote-canary",
        "abort-canary",
        "rollback-config",
        "delete-config",
        "reload-config",
        "put-config-schema",
        "publish-components",
        "rollback-components",
        "put-secret",
        "delete-secret",
        "rekey-secrets",
        "create-key",
        "rotate-key",
        "revoke-key",
        "revoke-access",
        "restore-access",
    }
)
HARMLESS: Final = frozenset(
    {
        "heartbeat",
        "discover",
        "services",
        "get-health",
        "graph",
        "metrics",
        "admin-get",
        "get-config",
        "get-config-records",
        "list-configs",
        "validate-config",
        "config-history",
        "config-diff",
        "config-status",
        "get-config-schema",
        "get-components",
        "components-history",
        "list-secrets",
        "list-keys",
        "list-revoked",
        "resolve-secrets",
        "search-audit",
        "read-audit",
        "read-archived-audit",
        "audit-head",
    }
)
