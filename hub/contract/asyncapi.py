"""The AsyncAPI 3.0 document: the contract as the hub, which receives requests and sends news, takes part in it."""

from __future__ import annotations

from typing import Any, Final

from hub.wire import fault
from hub.wire.channel import CONTRACT_VERSION, HUB, PARAMETERS, Channel
from hub.wire.channels import CHANNELS
from hub.wire.components import ComponentsRecord
from hub.wire.config import ConfigRecord
from hub.wire.correlation import REQUEST_ID_HEADER
from hub.wire.fault import ErrorReply
from hub.wire.messages import MESSAGES, message_name
from hub.wire.metrics import CONTENT_TYPE_HEADER, HUB_ID_HEADER
from hub.wire.record import Record
from hub.wire.schemas import DIALECT, portable_pattern

Node = dict[str, Any]

_SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"
_ABOUT: Final = (
    "Services register, find each other, beat and leave. The hub coordinates and never proxies. Operations are told "
    "from the hub's side: it receives requests and sends news, and receives what hubs tell each other. `x-publish` and "
    "`x-subscribe` say which roles may do what, `x-right` what a credential must be good for. Rendered from hub/wire "
    "by `hub contract --write`."
)
_EMPTY: Final = "empty"
_REMOVED: Final = "record-removed"
_TEXT: Final = "metrics-text"
_PLAIN_HEADERS: Final = {
    "Nats-Sequence": "The revision of this change: an integer.",
    "Nats-Last-Sequence": "The revision of the change to the same instance before it; 0 where there was none.",
    "Nats-Subject": "The key that was written: $KV.hub-registry.<service>.<instance>.",
    "Nats-Stream": "The stream that it was written to: KV_hub-registry.",
}
_CONFIG_HEADERS: Final = {
    **_PLAIN_HEADERS,
    "Nats-Last-Sequence": "The revision of the change to the same scope before it; 0 where there was none.",
    "Nats-Subject": "The key that was written: $KV.hub-config.<scope>.",
    "Nats-Stream": "The stream that it was written to: KV_hub-config.",
}
_REMOVAL_HEADERS: Final = {
    "KV-Operation": "DEL or PURGE: the instance was taken out.",
    "Nats-Marker-Reason": "Why NATS itself took it out, in place of KV-Operation.",
}
_TEXT_HEADERS: Final = {
    CONTENT_TYPE_HEADER: "The format of the text and its version, as in HTTP.",
    HUB_ID_HEADER: "Which replica of the hub says so.",
}
_ERROR_HEADERS: Final = {
    fault.CODE_HEADER: "HTTP-like number of the error.",
    fault.TEXT_HEADER: "The error's message on one line.",
    REQUEST_ID_HEADER: "By which id the hub's log knows the request: the caller's, or one of the hub's.",
}
_RETRY_HEADER: Final = {
    fault.RETRY_HEADER: "After how many seconds to ask again, in whole ones; where the hub knows that.",
}


def document() -> Node:
    """The whole document."""
    channels: Node = {}
    operations: Node = {}
    for channel in CHANNELS:
        channels[channel.name] = _channel(channel)
        operations[channel.name] = _operation(channel)
        if answer := _answer(channel):
            channels[_reply_name(channel)] = _reply_channel(channel, answer)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Central Hub",
            "version": CONTRACT_VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "127.0.0.1:4222",
                "protocol": "nats",
                "description": "The NATS server of `hub up`. JSON in UTF-8, at most 64 KiB a message.",
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": {**_messages(), **_wordless()}, "parameters": _parameters()},
    }


def _channel(channel: Channel) -> Node:
    names = [message_name(channel.payload) if channel.payload else _EMPTY]
    if channel.payload is Record:
        names.append(_REMOVED)
    node: Node = {
        "address": channel.address,
        "description": channel.description,
        "messages": {name: _ref("components", "messages", name) for name in names},
    }
    if channel.parameters:
        node["parameters"] = {name: _ref("components", "parameters", name) for name in channel.parameters}
    return {
        **node,
        "x-kind": channel.kind,
        "x-pattern": channel.pattern(),
        "x-publish": list(channel.publishers),
        "x-subscribe": list(channel.subscribers),
        "x-right": channel.right,
    }


def _answer(channel: Channel) -> str | None:
    """The name of the message that a request is answered with; None where nothing is."""
    if channel.text:
        return _TEXT
    return message_name(channel.reply) if channel.reply else None


def _reply_channel(channel: Channel, answer: str) -> Node:
    names = (answer, message_name(ErrorReply))
    return {
        "address": None,
        "description": f"Replies to {channel.address}, on the inbox that the request names.",
        "messages": {name: _ref("components", "messages", name) for name in names},
    }


def _operation(channel: Channel) -> Node:
    node: Node = {
        "action": "receive" if HUB in channel.subscribers else "send",
        "channel": _ref("channels", channel.name),
        "summary": channel.description,
    }
    if channel.queue:
        node["bindings"] = {"nats": {"queue": channel.queue, "bindingVersion": "0.1.0"}}
    if _answer(channel):
        node["reply"] = {
            "address": {
                "location": "$message.header#/reply-to",
                "description": "The reply subject of the NATS message, which has to be an inbox of the caller.",
            },
            "channel": _ref("channels", _reply_name(channel)),
        }
    return node


def _reply_name(channel: Channel) -> str:
    return f"{channel.name}-reply"


def _messages() -> Node:
    """The messages that have a schema."""
    headers = {
        Record: _PLAIN_HEADERS,
        ConfigRecord: _CONFIG_HEADERS,
        ComponentsRecord: _PLAIN_HEADERS,
    }
    nodes: Node = {}
    for name, kind in MESSAGES.items():
        nodes[name] = {
            "name": name,
            "title": kind.__name__,
            "summary": " ".join((kind.__doc__ or "").split("\n\n")[0].split()),
            "contentType": "application/json",
            "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"../schemas/v1/{name}.json"}},
        }
        if kind in headers:
            nodes[name]["headers"] = _headers(headers[kind])
        if kind is ErrorReply:
            nodes[name]["headers"] = _headers({**_ERROR_HEADERS, **_RETRY_HEADER}, required=tuple(_ERROR_HEADERS))
    return nodes


def _wordless() -> Node:
    """The messages without JSON in them."""
    return {
        _EMPTY: {"name": _EMPTY, "title": "Empty", "summary": "No bytes: the subject says it all."},
        _REMOVED: {
            "name": _REMOVED,
            "title": "RecordRemoved",
            "summary": "No bytes: the instance is gone. One of KV-Operation and Nats-Marker-Reason is there.",
            "headers": _headers({**_PLAIN_HEADERS, **_REMOVAL_HEADERS}, required=tuple(_PLAIN_HEADERS)),
        },
        _TEXT: {
            "name": _TEXT,
            "title": "MetricsText",
            "summary": "The metrics of one replica in Prometheus's text format.",
            "contentType": "text/plain",
            "headers": _headers(_TEXT_HEADERS),
        },
    }


def _headers(told: dict[str, str], *, required: tuple[str, ...] | None = None) -> Node:
    """Headers and what they say; all required unless `required` names those that are."""
    return {
        "schemaFormat": _SCHEMA_FORMAT,
        "schema": {
            "$schema": DIALECT,
            "type": "object",
            "properties": {name: {"type": "string", "description": text} for name, text in told.items()},
            "required": list(told if required is None else required),
        },
    }


def _parameters() -> Node:
    nodes: Node = {}
    for name, parameter in PARAMETERS.items():
        nodes[name] = {"description": parameter.description, "x-pattern": portable_pattern(parameter.pattern)}
        if parameter.values:
            nodes[name]["enum"] = list(parameter.values)
    return nodes


def _ref(*path: str) -> Node:
    return {"$ref": "#/" + "/".join(path)}
