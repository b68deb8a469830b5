"""The subjects of the contract in one table: who speaks on each, who listens, and what is said.

AsyncAPI, the tables of subjects/ and the server's permissions are all made from it.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from hub.wire import subjects
from hub.wire.accesschannels import ACCESS_CHANNELS
from hub.wire.admin import Desires, Drain, GetDesired, Maintenance, OverrideMetadata, OverrideWeight, Undrain
from hub.wire.audit import AuditEntry
from hub.wire.channel import BRIDGE, EXTERNAL, HUB, OPERATOR, PROMETHEUS, READER, SERVICE, Channel, request
from hub.wire.components import (
    ComponentsRecord,
)
from hub.wire.config import ConfigRecord
from hub.wire.discovery import Discover, Discovered, ServiceList, Services
from hub.wire.event import CloudEvent
from hub.wire.graph import Graph, Observed, ServiceGraph
from hub.wire.health import GetHealth, HealthList, HealthReport
from hub.wire.record import Record
from hub.wire.registration import Deregister, Deregistered, Heartbeat, Register, Registered
from hub.wire.replica import Announcement, Findings
from hub.wire.sharedchannels import SHARED_CHANNELS


def _admin(name: str, address: str, payload: type[Struct], description: str) -> Channel:
    """A request of operators about what they want of instances."""
    return request(name, address, payload, Desires, description)


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
    request(
        "discover",
        subjects.DISCOVER,
        Discover,
        Discovered,
        "Where is a service? Answered with instances, chosen as asked; may wait for a revision.",
        (SERVICE, OPERATOR, READER, EXTERNAL),
    ),
    request(
        "services",
        subjects.SERVICES,
        Services,
        ServiceList,
        "Which services are there, with how many instances, and how are they?",
        (SERVICE, OPERATOR, READER, EXTERNAL),
    ),
    request(
        "get-health",
        subjects.HEALTH,
        GetHealth,
        HealthList,
        "How are the services, each instance of them, and what says so?",
        (SERVICE, OPERATOR, READER, EXTERNAL),
    ),
    request(
        "graph",
        subjects.GRAPH,
        Graph,
        ServiceGraph,
        "Who depends on whom, declared and observed, and how are they?",
        (SERVICE, OPERATOR, READER, EXTERNAL),
    ),
    Channel(
        name="metrics",
        address=subjects.METRICS,
        kind="request",
        publishers=(OPERATOR, READER, PROMETHEUS),
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
    *SHARED_CHANNELS,
    *ACCESS_CHANNELS,
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
        name="secret-delta",
        address=subjects.SECRET_DELTA_PREFIX + "{secret}",
        kind="republish",
        publishers=(HUB,),
        subscribers=(SERVICE, OPERATOR),
        payload=None,
        description="A secret has changed: empty, its revision in the headers. Who uses it resolves it again.",
    ),
    Channel(
        name="components-delta",
        address=subjects.COMPONENTS_DELTA,
        kind="republish",
        publishers=(HUB,),
        subscribers=(SERVICE, OPERATOR, READER),
        payload=ComponentsRecord,
        description="Every new version of the components; its revision in the headers.",
    ),
    Channel(
        name="events",
        address=subjects.EVENTS_PREFIX + "{type}",
        kind="stream",
        publishers=(HUB,),
        subscribers=(SERVICE, OPERATOR, READER, BRIDGE),
        payload=CloudEvent,
        description=f"What happened, as CloudEvents 1.0, kept in the stream {subjects.EVENTS_STREAM}.",
    ),
    Channel(
        name="audit",
        address=subjects.AUDIT_PREFIX + "{chain}",
        kind="stream",
        publishers=(HUB,),
        subscribers=(HUB,),
        payload=AuditEntry,
        description=f"Who changed what, one entry a line, in the stream {subjects.AUDIT_STREAM}; for hubs alone.",
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
