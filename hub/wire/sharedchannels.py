"""The requests about what all share and keep: configuration, secrets, components; a part of `channels`."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from hub.wire import subjects
from hub.wire.channel import HUB, OPERATOR, READER, SERVICE, Channel, Role
from hub.wire.components import (
    Components,
    ComponentsHistory,
    ComponentsHistoryQuery,
    ComponentsPublished,
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


def _request(
    name: str,
    address: str,
    payload: type[Struct],
    reply: type[Struct],
    description: str,
    publishers: tuple[Role, ...] = (OPERATOR,),
) -> Channel:
    """A request that one replica answers: of operators, where nobody else is named."""
    return Channel(
        name=name,
        address=address,
        kind="request",
        publishers=publishers,
        subscribers=(HUB,),
        queue=subjects.QUEUE_GROUP,
        payload=payload,
        reply=reply,
        description=description,
    )


SHARED_CHANNELS: Final[tuple[Channel, ...]] = (
    _request(
        "get-config",
        subjects.CONFIG_GET,
        GetConfig,
        Config,
        "What is a service to run with, and where does each value come from?",
        (SERVICE, OPERATOR, READER),
    ),
    _request(
        "get-config-records",
        subjects.CONFIG_RECORDS,
        GetConfigRecords,
        ConfigRecords,
        "What is stored for a service, in its own scope and in `_all`? For who may not read the bucket.",
        (SERVICE, OPERATOR, READER),
    ),
    _request(
        "list-configs",
        subjects.CONFIG_LIST,
        ListConfigs,
        ConfigList,
        "Of which scopes is anything stored, and who changed them last?",
        (OPERATOR, READER),
    ),
    _request(
        "put-config",
        subjects.CONFIG_PUT,
        PutConfig,
        ConfigChanged,
        "Puts the configuration of one scope or many, all or nothing; answered when it is valid and stored.",
    ),
    _request(
        "patch-config",
        subjects.CONFIG_PATCH,
        PatchConfig,
        ConfigChanged,
        "Patches what was put, of one scope or many, all or nothing (JSON merge patch, RFC 7396).",
    ),
    _request(
        "validate-config",
        subjects.CONFIG_VALIDATE,
        ValidateConfig,
        ConfigVerdict,
        "Could this be put? Stores nothing, and names every violation.",
        (SERVICE, OPERATOR, READER),
    ),
    _request(
        "config-history",
        subjects.CONFIG_HISTORY,
        ConfigHistoryQuery,
        ConfigHistory,
        "Who changed the configuration of a scope, when, why, and where?",
        (OPERATOR, READER),
    ),
    _request(
        "config-diff",
        subjects.CONFIG_DIFF,
        ConfigDiffQuery,
        ConfigDiff,
        "In what do two revisions of a scope differ?",
        (OPERATOR, READER),
    ),
    _request(
        "promote-canary",
        subjects.CONFIG_PROMOTE,
        PromoteCanary,
        ConfigChanged,
        "Puts for all what some instances try, before its time.",
    ),
    _request(
        "abort-canary",
        subjects.CONFIG_ABORT,
        AbortCanary,
        ConfigChanged,
        "Takes back what some instances try.",
    ),
    _request(
        "rollback-config",
        subjects.CONFIG_ROLLBACK,
        RollbackConfig,
        ConfigChanged,
        "Puts again what was put at an earlier revision.",
    ),
    _request(
        "delete-config",
        subjects.CONFIG_DELETE,
        DeleteConfig,
        ConfigChanged,
        "Puts nothing in place of what was put; the history is kept.",
    ),
    _request(
        "reload-config",
        subjects.CONFIG_RELOAD,
        ReloadConfig,
        Reloaded,
        "Reads the configuration files of the hub now, and stores what they say.",
    ),
    _request(
        "config-status",
        subjects.CONFIG_STATUS,
        ConfigStatusQuery,
        ConfigStatus,
        "Which instance runs with which revision, and who has refused, and why?",
        (SERVICE, OPERATOR, READER),
    ),
    _request(
        "get-config-schema",
        subjects.CONFIG_SCHEMA_GET,
        GetConfigSchema,
        ConfigSchema,
        "What must the configuration of a service be like?",
        (SERVICE, OPERATOR, READER),
    ),
    _request(
        "put-config-schema",
        subjects.CONFIG_SCHEMA_PUT,
        PutConfigSchema,
        ConfigChanged,
        "Gives the configuration of a service a schema, or takes it away.",
        (SERVICE, OPERATOR),
    ),
    _request(
        "get-components",
        subjects.COMPONENTS_GET,
        GetComponents,
        Components,
        "Which files has a version of the components, and what is the SHA-256 of each?",
        (SERVICE, OPERATOR, READER),
    ),
    _request(
        "components-history",
        subjects.COMPONENTS_HISTORY,
        ComponentsHistoryQuery,
        ComponentsHistory,
        "Who published which version of the components, when, why, and what did it change?",
        (OPERATOR, READER),
    ),
    _request(
        "publish-components",
        subjects.COMPONENTS_PUBLISH,
        PublishComponents,
        ComponentsPublished,
        "Makes files that lie in the object store already the newest version of the components.",
    ),
    _request(
        "rollback-components",
        subjects.COMPONENTS_ROLLBACK,
        RollbackComponents,
        ComponentsPublished,
        "Makes an earlier version of the components the newest.",
    ),
    Channel(
        name="config-remind",
        address=subjects.CONFIG_REMIND_PREFIX + "{service}.{instance}",
        kind="publish",
        publishers=(HUB,),
        subscribers=(SERVICE,),
        payload=None,
        description="Tells an instance that it does not run with the newest configuration: it should read it; empty.",
    ),
    _request(
        "put-secret",
        subjects.SECRET_PUT,
        PutSecret,
        SecretChanged,
        "Stores a secret, encrypted, and who may read it; answered when it is stored.",
    ),
    _request(
        "list-secrets",
        subjects.SECRET_LIST,
        ListSecrets,
        SecretList,
        "Which secrets are there, and who may read them? Never what they are.",
    ),
    _request(
        "delete-secret",
        subjects.SECRET_DELETE,
        DeleteSecret,
        SecretChanged,
        "Takes a secret away, unless a configuration refers to it.",
    ),
    _request(
        "resolve-secrets",
        subjects.SECRET_RESOLVE,
        ResolveSecrets,
        ResolvedSecrets,
        "What are the secrets that the configuration of a service refers to? For who may read them.",
        (SERVICE,),
    ),
    _request(
        "rekey-secrets",
        subjects.SECRET_REKEY,
        RekeySecrets,
        Rekeyed,
        "Encrypts with the current key what is encrypted with another.",
    ),
)
"""In the order in which somebody meets them."""
