"""References to secrets, `{"$secret": "<name>"}`: each stands for a string that the hub never sees.

Where a schema wants a string, a reference is as good as one; what more it wants of the string cannot be told. So a
reference is checked as a marker, by a schema that asks nothing of the marker but to be a string.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from hub.validation.document import Document, Node
from hub.wire.secrets import is_reference

MARKER: Final = "\x00a secret\x00"
_OF_STRINGS = ("minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType")


def replaced(value: Any) -> Any:
    """The value with the marker for every reference."""
    if is_reference(value):
        return MARKER
    if isinstance(value, dict):
        return {key: replaced(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner) for inner in value]
    return value


def lenient(document: Document) -> dict[str, Any]:
    """The schema, for values with markers in them. Every part of it stays where it was."""
    schema = copy.deepcopy(document.root.schema)
    for node in document.nodes.values():
        moved = {} if node.asks else {key: value for key, value in node.schema.items() if _is_of_strings(key, value)}
        if moved:
            own = _at(schema, node)
            for key in moved:
                del own[key]
            own["allOf"] = [*own.get("allOf", ()), {"if": {"const": MARKER}, "else": moved}]
    return schema


def _is_of_strings(keyword: str, value: Any) -> bool:
    if keyword == "enum":
        return any(isinstance(option, str) for option in value)
    return keyword in _OF_STRINGS or (keyword == "const" and isinstance(value, str))


def _at(schema: Any, node: Node) -> Any:
    for step in node.place:
        schema = schema[int(step)] if isinstance(schema, list) else schema[step]
    return schema
