"""How layers of configuration are laid together, patched and told apart. Configurations are JSON objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hub.core.canary import Traits, seen_by
from hub.wire.config import (
    ConfigDifference,
    ConfigRecord,
    Layer,
    Pointer,
)
from hub.wire.secrets import REFERENCE, is_reference

MAX_DEPTH: Final = 32
"""Levels of objects and lists that a configuration may have."""


def layers(
    own: ConfigRecord | None, shared: ConfigRecord | None, instance: Traits | None = None
) -> Iterator[tuple[Layer, Mapping[str, Any]]]:
    """The layers of a service, each laid over those before it.

    Args:
        own: The record of the service; None where it has none.
        shared: The record of `_all`; None where it has none.
        instance: For whom: what is put is another for those who try a canary. None for those who try none.
    """
    for_own, for_all = seen_by(own, instance), seen_by(shared, instance)
    if for_own is not None:
        yield "schema", for_own.defaults
    if for_all is not None:
        yield "all-file", for_all.file
        yield "all" if for_all is shared else "all-canary", for_all.values
    if for_own is not None:
        yield "file", for_own.file
        yield "service" if for_own is own else "canary", for_own.values


def laid_together(
    own: ConfigRecord | None, shared: ConfigRecord | None, instance: Traits | None = None
) -> dict[str, Any]:
    """What a service runs with, or one instance of it; see `layers`."""
    together: dict[str, Any] = {}
    for _, layer in layers(own, shared, instance):
        together = laid_over(together, layer)
    return together


def laid_member(name: str, own: ConfigRecord | None, shared: ConfigRecord | None) -> Any:
    """What a service runs with as one member of its configuration; None where it has none."""
    together: dict[str, Any] = {}
    for _, layer in layers(own, shared):
        if name in layer:
            together = laid_over(together, {name: layer[name]})
    return together.get(name)


def origins(
    own: ConfigRecord | None, shared: ConfigRecord | None, instance: Traits | None = None
) -> dict[Pointer, Layer]:
    """Where each value comes from that is no object, or an empty one. A canary's are those that are other than put."""
    found: dict[Pointer, Layer] = {}
    together: dict[str, Any] = {}
    for name, layer in layers(own, shared, instance):
        together = laid_over(together, layer)
        below: Layer = "service" if name == "canary" else "all"
        put = own if name == "canary" else shared if name == "all-canary" else None
        others = dict(leaves(put.values)) if put is not None else {}
        found.update(
            (path, below if path in others and same(others[path], value) else name) for path, value in leaves(layer)
        )
    return {path: found[path] for path, _ in leaves(together)}


def origin_at(pointer: Pointer, origins: Mapping[Pointer, Layer], values: Mapping[str, Any]) -> Layer | None:
    """Where the value at a place comes from; None for an object, or where there is no value.

    Args:
        pointer: The place. What is in a list comes with the list.
        origins: As `origins` tells them.
        values: What they are the origins of.
    """
    for place in (pointer, f"{pointer}/{REFERENCE}"):
        if place in origins:
            return origins[place]
    *parents, _ = pointer.split("/")
    for length in range(len(parents), 1, -1):
        found = origins.get("/".join(parents[:length]))
        if found is not None:
            return found if _is_within_list(pointer, values) else None
    return None


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Objects are laid over objects, name by name; anything else takes the place of what is below, null included.

    What stands for a secret is no object: it stands for a text.
    """
    together = dict(below)
    for name, value in above.items():
        beneath = together.get(name)
        over_object = isinstance(beneath, dict) and isinstance(value, dict)
        over_object = over_object and not (is_reference(value) or is_reference(beneath))
        together[name] = laid_over(beneath or {}, value) if over_object else value
    return together


def patched(values: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """What a JSON merge patch (RFC 7396) makes of the values: null removes."""
    result = dict(values)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            beneath = result.get(name)
            result[name] = patched(beneath if isinstance(beneath, dict) else {}, value)
        else:
            result[name] = value
    return result


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[ConfigDifference, ...]:
    """In what two configurations differ, by place. Lists are compared as a whole."""
    return tuple(_differences("", before, after))


def leaves(values: Mapping[str, Any], path: Pointer = "") -> Iterator[tuple[Pointer, Any]]:
    """Every value that is no object, or an empty one, with its place."""
    for name, value in values.items():
        place = step(path, name)
        if isinstance(value, dict) and value:
            yield from leaves(value, place)
        else:
            yield place, value


def step(path: Pointer, name: str) -> Pointer:
    """The place of a name within the object at `path` (RFC 6901)."""
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"


def too_deep(value: object) -> bool:
    """Whether it nests deeper than a configuration may. Without recursion: this is asked of what strangers send."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            return True
        inner: list[object] = []
        for container in level:
            if isinstance(container, dict):
                inner.extend(container.values())
            elif isinstance(container, list):
                inner.extend(container)
        level, depth = [item for item in inner if isinstance(item, dict | list)], depth + 1
    return False


def same(one: object, other: object) -> bool:
    """Whether JSON does not tell them apart. Python takes `true` for 1, within lists and objects, too."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _differences(path: Pointer, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ConfigDifference]:
    for name in sorted(before.keys() | after.keys()):
        place = step(path, name)
        if name not in after:
            yield ConfigDifference(path=place, change="removed", before=before[name])
        elif name not in before:
            yield ConfigDifference(path=place, change="added", after=after[name])
        elif isinstance(before[name], dict) and isinstance(after[name], dict):
            yield from _differences(place, before[name], after[name])
        elif not same(before[name], after[name]):
            yield ConfigDifference(path=place, change="changed", before=before[name], after=after[name])


def _is_within_list(pointer: Pointer, values: Mapping[str, Any]) -> bool:
    value: Any = values
    for name in pointer.split("/")[1:]:
        if isinstance(value, list):
            return name.isdigit() and int(name) < len(value)
        value = value.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return False
