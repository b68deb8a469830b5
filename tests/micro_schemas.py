"""What NATS's published schemas of the micro protocol (version 1) ask of its messages, as JSON Schema of our own words.

Fields that the schemas do not name are allowed, as they are there.
"""

from __future__ import annotations

from typing import Any, Final

import jsonschema_rs

_NAME: Final = {"type": "string", "pattern": "^[a-zA-Z0-9_-]+$"}
_TEXT: Final = {"type": "string"}
_SOME_TEXT: Final = {"type": "string", "minLength": 1}
_WHOLE: Final = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
_METADATA: Final = {"type": ["object", "null"], "additionalProperties": _TEXT}
_NUMBER: Final = r"(0|[1-9]\d*)"
_PRE: Final = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER: Final = {
    "type": "string",
    "pattern": rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$",
}
_ENDPOINT: Final = {
    "type": "object",
    "required": ["name", "subject"],
    "properties": {"name": _NAME, "subject": _SOME_TEXT, "queue_group": _TEXT, "metadata": _METADATA},
}
_COUNTS: Final = ("num_requests", "num_errors", "processing_time", "average_processing_time")
_ENDPOINT_STATS: Final = {
    "type": "object",
    "required": ["name", "subject", "last_error", *_COUNTS],
    "properties": {
        "name": _NAME,
        "subject": _SOME_TEXT,
        "queue_group": _TEXT,
        "last_error": _TEXT,
        **dict.fromkeys(_COUNTS, _WHOLE),
    },
}


def _message(verb: str, required: tuple[str, ...] = (), **properties: Any) -> jsonschema_rs.Draft7Validator:
    kind = f"io.nats.micro.v1.{verb.lower()}_response"
    schema = {
        "type": "object",
        "required": ["type", "name", "id", "version", *required],
        "properties": {
            "type": {"const": kind},
            "name": _NAME,
            "id": _SOME_TEXT,
            "version": _SEMVER,
            "metadata": _METADATA,
            **properties,
        },
    }
    return jsonschema_rs.Draft7Validator(schema, validate_formats=True)


MICRO_V1: Final = {
    "PING": _message("PING"),
    "INFO": _message("INFO", ("description",), description=_TEXT, endpoints={"type": "array", "items": _ENDPOINT}),
    "STATS": _message(
        "STATS",
        ("started", "endpoints"),
        started={"type": "string", "format": "date-time"},
        endpoints={"type": "array", "items": _ENDPOINT_STATS},
    ),
}
"""The answers, by what was asked."""
