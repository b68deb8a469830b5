"""The names and small values of the contract, each with its bounds and the words that explain them."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from msgspec import Meta

SERVICE_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z"
INSTANCE_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}\Z"

_service = re.compile(SERVICE_PATTERN)
_instance = re.compile(INSTANCE_PATTERN)

ServiceName = Annotated[
    str,
    Meta(
        pattern=SERVICE_PATTERN,
        description="A DNS label",
        extra={"expected": "a DNS label: 1..63 of a-z, 0-9 and inner '-'"},
    ),
]
ServiceNameOrEmpty = Annotated[
    str,
    Meta(
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?\Z",
        description="A DNS label, or empty where no service in particular is meant",
        extra={"expected": "a DNS label: 1..63 of a-z, 0-9 and inner '-', or ''"},
    ),
]
InstanceId = Annotated[
    str,
    Meta(
        pattern=INSTANCE_PATTERN,
        description="Identifies one running process of a service",
        extra={"expected": "1..64 of A-Z, a-z, 0-9, '_' and '-'"},
    ),
]
Host = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9_.:%-]+\Z",
        extra={"expected": "a host name or IP address of 1..253 characters"},
    ),
]
Port = Annotated[int, Meta(ge=1, le=65535)]
Protocol = Annotated[
    str,
    Meta(pattern=r"^[a-z][a-z0-9+.-]{0,31}\Z", extra={"expected": "a URL scheme such as 'http' or 'grpc'"}),
]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Version = Annotated[str, Meta(max_length=64)]
Zone = Annotated[str, Meta(max_length=64)]
Weight = Annotated[int, Meta(ge=0, le=10_000)]
Seconds = Annotated[float, Meta(ge=0)]
Ttl = Annotated[float, Meta(ge=0.5, le=86_400.0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Load = Annotated[float, Meta(ge=0)]
MAX_REASON: Final = 512
Reason = Annotated[str, Meta(max_length=MAX_REASON)]
Author = Annotated[str, Meta(max_length=128)]

Liveness = Literal["heartbeat", "probe", "permanent"]
Status = Literal["passing", "warning", "suspect", "critical", "draining", "maintenance"]
ReportedStatus = Literal["passing", "warning", "critical"]
Source = Literal["registration", "micro"]
Strategy = Literal["all", "random", "round_robin", "weighted", "least_loaded", "nearest"]

PASSING: Final = "passing"
WARNING: Final = "warning"
SUSPECT: Final = "suspect"
CRITICAL: Final = "critical"
DRAINING: Final = "draining"
MAINTENANCE: Final = "maintenance"


def is_service_name(text: str) -> bool:
    """Whether `text` is a valid service name (reserved ones included)."""
    return _service.match(text) is not None


def is_instance_id(text: str) -> bool:
    """Whether `text` is a valid instance id."""
    return _instance.match(text) is not None
