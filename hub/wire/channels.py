"""The subjects of the contract in one table: who speaks on each, who listens, and what is said.

AsyncAPI, the tables of subjects/ and the server's permissions are all made from it.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from msgspec import Struct

from hub.wire import subjects
from hub.wire.admin import Desires, Drain, GetDesired, Maintenance, OverrideMetadata, OverrideWeight, Undrain
from hub.wire.config import (
    Config,
    ConfigChanged,
    ConfigDiff,
    ConfigDiffQuery,
    ConfigHistory,
    ConfigHistoryQuery,
    ConfigRecord,
    ConfigSchema,
    ConfigStatus,
    ConfigStatusQuery,
    ConfigVerdict,
    DeleteConfig,
    GetConfig,
    GetConfigSchema,
    PatchConfig,
    PutConfig,
    PutConfigSchema,
    ReloadConfig,
    Reloaded,
    RollbackConfig,
    ValidateConfig,
)
from hub.wire.discovery import Discover, Discovered, ServiceList, Services
from hub.wire.event import CloudEvent, EventType
from hub.wire.fault import ErrorReply
from hub.wire.graph import Graph, Observed, ServiceGraph
from hub.wire.health import GetHealth, HealthList, HealthReport
from hub.wire.names import INSTANCE_PATTERN, SERVICE_PATTERN
from hub.wire.record import Record
from hub.wire.registration import Deregister, Deregistered, Heartbeat, Register, Registered
from hub.wire.replica import Announcement, Findings

CONTRACT_VERSION: Final = "v1"
"""The version of the wire contract; the distribution has its own."""

Role = Literal["service", "operator", "reader", "hub"]
"""Who takes part: a registered service, an operator, somebody who only looks, the hub itself."""

Kind = Literal["request", "request or publish", "publish", "republish", "stream"]
"""How a subject is used. A request is answered; what is published is not; `republish` is published by the NATS server
for every change stored in a bucket; `stream` is published into a JetStream stream."""

SERVICE: Final = "service"
OPERATOR: Final = "operator"
READER: Final = "reader"
HUB: Final = "hub"


class Parameter(Struct, frozen=True, kw_only=True):
    """What may stand in one place of an address.

    Whatever matches `pattern`, and of that only `values` if there are any. A place holds one token of the subject,
    unless `tokens` says more.
    """

    description: str
    pattern: str
    values: tuple[str, ...] = ()
    tokens: int = 1


class Channel(Struct, frozen=True, kw_only=True):
    """One subject, or one family of subjects that differ in their parameters.

    `payload` is None where an empty message says it all. `queue` is the queue group of the subscribers; None where
    each of them hears everything, and answers if it is a request. `text` is the media type of a reply that is text;
    all others are JSON.
    """

    name: str
    address: str
    kind: Kind
    publishers: tuple[Role, ...]
    subscribers: tuple[Role, ...]
    payload: type[Struct] | None
    description: str
    reply: type[Struct] | None = None
    queue: str | None = None
    text: str | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the places in the address, in their order."""
        return tuple(token[1:-1] for token in self.address.split(".") if token.startswith("{"))

    def pattern(self) -> str:
        """The NATS subject, with wildcards, that covers the family."""
        tokens = self.address.split(".")
        for place, token in enumerate(tokens):
            if token.startswith("{"):
                tokens[place] = "*" if PARAMETERS[token[1:-1]].tokens == 1 else ">"
        return ".".join(tokens)


PARAMETERS: Final[dict[str, Parameter]] = {
    "service": Parameter(description="Name of the service: a DNS label.", pattern=SERVICE_PATTERN),
    "instance": Parameter(description="Id of the instance: 1..64 of A-Z, a-z, 0-9, _ and -.", pattern=INSTANCE_PATTERN),
    "scope": Parameter(
        description="Name of the service, or `_all` for what every service shares.",
        pattern=r"^(_all|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)\Z",
    ),
    "hub": Parameter(description="Id of a replica of the hub.", pattern=INSTANCE_PATTERN),
    "component": Parameter(
        description="Name of a service, or of a part of the hub itself: "
        + ", ".join(sorted(subjects.RESERVED_NAMES))
        + f", {subjects.RESERVED_PREFIX}<name>.",
        pattern=SERVICE_PATTERN,
    ),
    "type": Parameter(
        description="Type of the event, two tokens of the subject.",
        pattern=r"^[a-z]+\.[a-z]+\Z",
        values=get_args(EventType),
        tokens=2,
    ),
}
"""The places of all addresses."""

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
    "put-config": PutConfig,
    "patch-config": PatchConfig,
    "config-changed": ConfigChanged,
    "validate-config": ValidateConfig,
    "config-verdict": ConfigVerdict,
    "config-history-query": ConfigHistoryQuery,
    "config-history": ConfigHistory,
    "config-diff-query": ConfigDiffQuery,
    "config-diff": ConfigDiff,
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
    "record": Record,
    "event": CloudEvent,
    "announcement": Announcement,
    "findings": Findings,
    "error": ErrorReply,
}
"""Every message of the contract, by the name of its schema. `error` is the reply to any request that is refused."""


def _admin(name: str, address: str, payload: type[Struct], description: str) -> Channel:
    """A request of operators about what they want of instances."""
    return Channel(
        name=name,
        address=address,
        kind="request",
        publishers=(OPERATOR,),
        subscribers=(HUB,),
        queue=subjects.QUEUE_GROUP,
        payload=payload,
        reply=Desires,
        description=description,
    )


def _config(
    name: str,
    address: str,
    payload: type[Struct],
    reply: type[Struct],
    description: str,
    publishers: tuple[Role, ...] = (OPERATOR,),
) -> Channel:
    """A request about configuration."""
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


CHANNELS: Final[tuple[Channel, ...]] = (
    Channel(
        name="register",
        address=subjects.REGISTER,
        kind="request or publish",
        publishers=(SERVICE, OPERATOR),
        subscribers=(HUB,),
        queue=subjects.QUEUE_GROUP,
        payload=Register,
        reply=Registered,
        description="Registers one instance, or updates it; answered when it is stored.",
    ),
    Channel(
        name="deregister",
        address=subjects.DEREGISTER,
        kind="request or publish",
        publishers=(SERVICE, OPERATOR),
        subscribers=(HUB,),
        queue=subjects.QUEUE_GROUP,
        payload=Deregister,
        reply=Deregistered,
        description="Takes one instance out; answered when it is gone.",
    ),
    Channel(
        name="heartbeat",
        address=subjects.HEARTBEAT_PREFIX + "{service}.{instance}",
        kind="publish",
        publishers=(SERVICE,),
        subscribers=(HUB,),
        payload=Heartbeat,
        description="One beat of one instance, heard by every replica of the hub; empty, or with news of itself.",
    ),
    Channel(
        name="reregister",
        address=subjects.REREGISTER_PREFIX + "{service}.{instance}",
        kind="publish",
        publishers=(HUB,),
        subscribers=(SERVICE,),
        payload=None,
        description="Asks an instance that beats and is not known to register again; empty.",
    ),
    Channel(
        name="discover",
        address=subjects.DISCOVER,
        kind="request",
        publishers=(SERVICE, OPERATOR, READER),
        subscribers=(HUB,),
        queue=subjects.QUEUE_GROUP,
        payload=Discover,
        reply=Discovered,
        description="Where is a service? Answered with instances, chosen as asked; may wait for a revision.",
    ),
    Channel(
        name="services",
        address=subjects.SERVICES,
        kind="request",
        publishers=(SERVICE, OPERATOR, READER),
        subscribers=(HUB,),
        queue=subjects.QUEUE_GROUP,
        payload=Services,
        reply=ServiceList,
        description="Which services are there, with how many instances, and how are they?",
    ),
    Channel(
        name="get-health",
        address=subjects.HEALTH,
        kind="request",
        publishers=(SERVICE, OPERATOR, READER),
        subscribers=(HUB,),
        queue=subjects.QUEUE_GROUP,
        payload=GetHealth,
        reply=HealthList,
        description="How are the services, each instance of them, and what says so?",
    ),
    Channel(
        name="graph",
        address=subjects.GRAPH,
        kind="request",
        publishers=(SERVICE, OPERATOR, READER),
        subscribers=(HUB,),
        queue=subjects.QUEUE_GROUP,
        payload=Graph,
        reply=ServiceGraph,
        description="Who depends on whom, declared and observed, and how are they?",
    ),
    Channel(
        name="metrics",
        address=subjects.METRICS,
        kind="request",
        publishers=(OPERATOR, READER),
        subscribers=(HUB,),
        payload=None,
        text="text/plain",
        description="The metrics of each replica, as Prometheus reads them; every replica answers for itself.",
    ),
    _admin(
        "admin-drain",
        subjects.ADMIN_DRAIN,
        Drain,
        "Lets an instance, or a service, be chosen no more, while it goes on with what it has; lasts until undrained.",
    ),
    _admin("admin-undrain", subjects.ADMIN_UNDRAIN, Undrain, "Lets it be chosen again."),
    _admin(
        "admin-maintenance",
        subjects.ADMIN_MAINTENANCE,
        Maintenance,
        "Puts an instance, or a service, into maintenance, or takes it out: not chosen meanwhile.",
    ),
    _admin(
        "admin-weight",
        subjects.ADMIN_WEIGHT,
        OverrideWeight,
        "Gives an instance a weight in place of its own; null lifts that.",
    ),
    _admin(
        "admin-metadata",
        subjects.ADMIN_METADATA,
        OverrideMetadata,
        "Lays metadata over what an instance says of itself; null lifts a key, or all.",
    ),
    _admin("admin-get", subjects.ADMIN_GET, GetDesired, "What operators want, of whom, and why?"),
    _config(
        "get-config",
        subjects.CONFIG_GET,
        GetConfig,
        Config,
        "What is a service to run with, and where does each value come from?",
        (SERVICE, OPERATOR, READER),
    ),
    _config(
        "put-config",
        subjects.CONFIG_PUT,
        PutConfig,
        ConfigChanged,
        "Puts the configuration of one scope or many, all or nothing; answered when it is valid and stored.",
    ),
    _config(
        "patch-config",
        subjects.CONFIG_PATCH,
        PatchConfig,
        ConfigChanged,
        "Patches what was put, of one scope or many, all or nothing (JSON merge patch, RFC 7396).",
    ),
    _config(
        "validate-config",
        subjects.CONFIG_VALIDATE,
        ValidateConfig,
        ConfigVerdict,
        "Could this be put? Stores nothing, and names every violation.",
        (SERVICE, OPERATOR, READER),
    ),
    _config(
        "config-history",
        subjects.CONFIG_HISTORY,
        ConfigHistoryQuery,
        ConfigHistory,
        "Who changed the configuration of a scope, when, why, and where?",
        (OPERATOR, READER),
    ),
    _config(
        "config-diff",
        subjects.CONFIG_DIFF,
        ConfigDiffQuery,
        ConfigDiff,
        "In what do two revisions of a scope differ?",
        (OPERATOR, READER),
    ),
    _config(
        "rollback-config",
        subjects.CONFIG_ROLLBACK,
        RollbackConfig,
        ConfigChanged,
        "Puts again what was put at an earlier revision.",
    ),
    _config(
        "delete-config",
        subjects.CONFIG_DELETE,
        DeleteConfig,
        ConfigChanged,
        "Puts nothing in place of what was put; the history is kept.",
    ),
    _config(
        "reload-config",
        subjects.CONFIG_RELOAD,
        ReloadConfig,
        Reloaded,
        "Reads the configuration files of the hub now, and stores what they say.",
    ),
    _config(
        "config-status",
        subjects.CONFIG_STATUS,
        ConfigStatusQuery,
        ConfigStatus,
        "Which instance runs with which revision, and who has refused, and why?",
        (SERVICE, OPERATOR, READER),
    ),
    _config(
        "get-config-schema",
        subjects.CONFIG_SCHEMA_GET,
        GetConfigSchema,
        ConfigSchema,
        "What must the configuration of a service be like?",
        (SERVICE, OPERATOR, READER),
    ),
    _config(
        "put-config-schema",
        subjects.CONFIG_SCHEMA_PUT,
        PutConfigSchema,
        ConfigChanged,
        "Gives the configuration of a service a schema, or takes it away.",
        (SERVICE, OPERATOR),
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
    Channel(
        name="health",
        address=subjects.HEALTH_PREFIX + "{component}",
        kind="publish",
        publishers=(HUB,),
        subscribers=(SERVICE, OPERATOR, READER),
        payload=HealthReport,
        description="How a service is, or a part of the hub: on every change, and every 10 s.",
    ),
    Channel(
        name="registry-delta",
        address=subjects.REGISTRY_DELTA_PREFIX + "{service}.{instance}",
        kind="republish",
        publishers=(HUB,),
        subscribers=(SERVICE, OPERATOR, READER),
        payload=Record,
        description="Every stored change of one instance; its revision and the one before it are in the headers.",
    ),
    Channel(
        name="config-delta",
        address=subjects.CONFIG_DELTA_PREFIX + "{scope}",
        kind="republish",
        publishers=(HUB,),
        subscribers=(SERVICE, OPERATOR, READER),
        payload=ConfigRecord,
        description="Every stored change of the configuration of a service or of `_all`; its revision in the headers.",
    ),
    Channel(
        name="events",
        address=subjects.EVENTS_PREFIX + "{type}",
        kind="stream",
        publishers=(HUB,),
        subscribers=(SERVICE, OPERATOR, READER),
        payload=CloudEvent,
        description=f"What happened, as CloudEvents 1.0, kept in the stream {subjects.EVENTS_STREAM}.",
    ),
    Channel(
        name="observed",
        address=subjects.OBSERVED,
        kind="publish",
        publishers=(HUB,),
        subscribers=(HUB,),
        payload=Observed,
        description="Tells every replica of the hub who was seen to discover whom by one of them; between hubs alone.",
    ),
    Channel(
        name="replica",
        address=subjects.REPLICA_PREFIX + "{hub}",
        kind="publish",
        publishers=(HUB,),
        subscribers=(HUB,),
        payload=Announcement,
        description="A replica of the hub says that it is there, every second, or farewell; between hubs alone.",
    ),
    Channel(
        name="check",
        address=subjects.CHECK_PREFIX + "{service}.{instance}",
        kind="publish",
        publishers=(HUB,),
        subscribers=(HUB,),
        payload=Findings,
        description="Tells every replica of the hub how the checks that one of them makes stand; between hubs alone.",
    ),
)
"""Every subject of the contract, in the order in which a service meets them."""


def message_name(kind: type[Struct]) -> str:
    """The name of the schema of a kind of message."""
    return next(name for name, struct in MESSAGES.items() if struct is kind)
