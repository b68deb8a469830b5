"""The defaults that a schema gives."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hub.validation.document import Document, Node, refused

MAX_DEFAULTS: Final = 10_000
"""Properties that are looked at, each as often as it is referred to."""
MAX_DEFAULTS_BYTES: Final = 32 * 1024
_DEEPEST = 64
"""Properties within properties, with the references between them: values do not go as deep."""


def defaults(document: Document) -> dict[str, Any]:
    """What the schema says of the properties that are not given, object by object.

    Defaults are looked for under plain `properties`, through `$ref`; a schema that comes back to itself is not followed
    again. Where a default of an object speaks of what a property in it has a default for, too, the outer one holds.

    Raises:
        InvalidRequest: there are too many.
    """
    found = _Search(document).of(document.root, ())
    if not isinstance(found, dict):
        return {}
    size = len(msgspec.json.encode(found))
    if size > MAX_DEFAULTS_BYTES:
        raise refused((), f"defaults of at most {MAX_DEFAULTS_BYTES} bytes in all, references followed, got {size}")
    return found


class _Nothing:
    """No default. Null is one."""


_NOTHING: Final = _Nothing()


class _Search:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._looked_at = 0

    def of(self, node: Node, within: tuple[Node, ...]) -> Any:
        """The default for one value; `_NOTHING` where there is none."""
        if node in within or len(within) == _DEEPEST:
            return _NOTHING
        self._looked_at += 1
        if self._looked_at > MAX_DEFAULTS:
            raise refused(node.place, f"at most {MAX_DEFAULTS} properties to find defaults in, references followed")
        within = (*within, node)
        own = node.schema.get("default", _NOTHING)
        inner = self._inner(node, within)
        target = self._document.target(node, "$ref")
        referred = self.of(target, within) if target else _NOTHING
        return _over(_over(own, inner), referred)

    def _inner(self, node: Node, within: tuple[Node, ...]) -> Any:
        found = {name: self.of(each, within) for name, each in node.properties.items()}
        found = {name: value for name, value in found.items() if value is not _NOTHING}
        return found or _NOTHING


def _over(outer: Any, inner: Any) -> Any:
    """The outer default, with what only the inner one has where both are objects."""
    if outer is _NOTHING:
        return inner
    if not isinstance(outer, dict) or not isinstance(inner, dict):
        return outer
    return {**inner, **{key: _over(value, inner.get(key, _NOTHING)) for key, value in outer.items()}}
