"""The micro protocol of NATS (ADR-32): what the hub answers to it, and what it reads of the answers of other services.

The contract of these messages is NATS's own, and not versioned with ours: tools read and write them that know nothing
of the hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from hub.wire import subjects
from hub.wire.channel import HUB, OPERATOR, READER, Channel
from hub.wire.messages import message_name

SERVICE_NAME: Final = "central-hub"
DESCRIPTION: Final = "Registration, discovery and health of services; the hub coordinates and never proxies."
PING: Final = "PING"
INFO: Final = "INFO"
STATS: Final = "STATS"

MICRO_CHANNELS: Final = tuple(
    Channel(
        name=f"micro-{verb.lower()}-{number}",
        address=address,
        kind="request",
        publishers=(OPERATOR, READER),
        subscribers=(HUB,),
        payload=None,
        description="What the micro protocol has every service answer; the hub answers it, too.",
    )
    for verb in (PING, INFO, STATS)
    for number, address in enumerate(subjects.micro(verb, SERVICE_NAME, "{hub}"))
)
"""Where those who look may ask the hub by that protocol; beside the contract, since the subjects are NATS's own."""


class Identity(Struct, frozen=True, kw_only=True):
    """Who answers; in every reply."""

    id: str
    """Unique to this replica, for as long as its process lives."""
    version: str
    metadata: dict[str, str]
    name: str = SERVICE_NAME


class Ping(Identity, frozen=True, kw_only=True, tag_field="type", tag="io.nats.micro.v1.ping_response"):
    """It is there."""


class EndpointInfo(Struct, frozen=True, kw_only=True):
    """One subject that it answers on."""

    name: str
    subject: str
    queue_group: str
    """Empty where every replica answers."""
    metadata: dict[str, str]


class Info(Identity, frozen=True, kw_only=True, tag_field="type", tag="io.nats.micro.v1.info_response"):
    """What it does, and where."""

    endpoints: tuple[EndpointInfo, ...]
    description: str = DESCRIPTION


class EndpointData(Struct, frozen=True, kw_only=True):
    """What the protocol leaves to each service to tell of an endpoint."""

    outcomes: dict[str, int]
    """How many requests ended how: `ok`, or the code of the error."""


class EndpointStats(Struct, frozen=True, kw_only=True):
    """What one subject has been asked so far. Times are integer nanoseconds."""

    name: str
    subject: str
    queue_group: str
    num_requests: int
    num_errors: int
    last_error: str
    """Empty where there was none."""
    processing_time: int
    average_processing_time: int
    data: EndpointData


class Stats(Identity, frozen=True, kw_only=True, tag_field="type", tag="io.nats.micro.v1.stats_response"):
    """What it has done since `started`."""

    started: datetime
    endpoints: tuple[EndpointStats, ...]


MicroName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\Z", max_length=128)]
Metadata = Annotated[dict[str, str], Meta(max_length=256)]


class PingAnswer(Struct, frozen=True, kw_only=True, tag_field="type", tag="io.nats.micro.v1.ping_response"):
    """Who some service says that it is. Everything that the protocol lets be absent may be."""

    name: MicroName
    id: Annotated[str, Meta(min_length=1, max_length=128)]
    version: Annotated[str, Meta(max_length=64)] = ""
    metadata: Metadata | None = None


class EndpointAnswer(Struct, frozen=True, kw_only=True):
    """One subject that some service answers on."""

    name: MicroName
    subject: Annotated[str, Meta(min_length=1, max_length=512)]
    queue_group: Annotated[str, Meta(max_length=512)] = ""


class InfoAnswer(Struct, frozen=True, kw_only=True, tag_field="type", tag="io.nats.micro.v1.info_response"):
    """What some service says that it does, and where."""

    name: MicroName
    id: Annotated[str, Meta(min_length=1, max_length=128)]
    version: Annotated[str, Meta(max_length=64)] = ""
    metadata: Metadata | None = None
    description: str | None = None
    endpoints: Annotated[tuple[EndpointAnswer, ...], Meta(max_length=4096)] | None = None


def endpoint_info(channel: Channel) -> EndpointInfo:
    """What tools show of a subject: what it is for, and the names of its messages' schemas."""
    metadata = {"description": channel.description}
    if channel.payload:
        metadata["request"] = message_name(channel.payload)
    if channel.reply:
        metadata["reply"] = message_name(channel.reply)
    return EndpointInfo(
        name=channel.name, subject=channel.pattern(), queue_group=channel.queue or "", metadata=metadata
    )


def endpoint_stats(
    channel: Channel, *, outcomes: Mapping[str, int], errors: int, last_error: str, seconds: float
) -> EndpointStats:
    """The figures of a subject.

    Args:
        channel: The subject.
        outcomes: How many requests ended how.
        errors: How many of them were refused, or failed.
        last_error: What the latest of those came to; empty where there is none.
        seconds: How long all requests took together.
    """
    requests = sum(outcomes.values())
    spent = round(seconds * 1e9)
    return EndpointStats(
        name=channel.name,
        subject=channel.pattern(),
        queue_group=channel.queue or "",
        num_requests=requests,
        num_errors=errors,
        last_error=last_error,
        processing_time=spent,
        average_processing_time=spent // requests if requests else 0,
        data=EndpointData(outcomes=dict(outcomes)),
    )
