"""The SDK: what a service imports to be found by others and to find them."""

from __future__ import annotations

from hub.client.client import CentralHubClient
from hub.client.components import ClientComponents, ComponentsFailure
from hub.client.componentsync import Refused, Synced
from hub.client.config import ClientConfig
from hub.client.flags import ClientFlags, Evaluation
from hub.client.instances import Instances
from hub.client.watch import Change
from hub.errors import (
    Conflict,
    DeadlineExceeded,
    Forbidden,
    HubError,
    InternalError,
    InvalidConfig,
    InvalidRequest,
    NoInstance,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
    Untrusted,
)
from hub.wire.discovery import Instance, ServiceSummary
from hub.wire.registration import Registered

__all__ = [
    "CentralHubClient",
    "Change",
    "ClientComponents",
    "ClientConfig",
    "ClientFlags",
    "ComponentsFailure",
    "Conflict",
    "DeadlineExceeded",
    "Evaluation",
    "Forbidden",
    "HubError",
    "Instance",
    "Instances",
    "InternalError",
    "InvalidConfig",
    "InvalidRequest",
    "NoInstance",
    "NotFound",
    "Overloaded",
    "PayloadTooLarge",
    "Refused",
    "Registered",
    "ServiceSummary",
    "Synced",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "Untrusted",
]
