"""Just enough YAML to write a document that people read: block style outside, every scalar as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN_KEY = re.compile(r"^[$A-Za-z][A-Za-z0-9_-]*$")
_NOT_A_STRING = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""Words that YAML 1.1 does not take for strings unless they are quoted."""


def document(value: dict[str, Any]) -> str:
    """A mapping as a YAML document. JSON is YAML, so that whatever is quoted the JSON way is read alike by all."""
    return "\n".join(_mapping(value, "")) + "\n"


def _mapping(value: dict[str, Any], indent: str) -> Iterator[str]:
    for key, inner in value.items():
        name = key if _PLAIN_KEY.match(key) and key.lower() not in _NOT_A_STRING else _scalar(key)
        if isinstance(inner, dict) and inner:
            yield f"{indent}{name}:"
            yield from _mapping(inner, indent + "  ")
        elif isinstance(inner, list) and any(isinstance(item, dict | list) for item in inner):
            yield f"{indent}{name}:"
            yield from (f"{indent}  - {_scalar(item)}" for item in inner)
        else:
            yield f"{indent}{name}: {_scalar(inner)}"


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
